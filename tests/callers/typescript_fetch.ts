// Creates a contact with openapi-generator's client for TypeScript.
import { Configuration, ContactsApi, ResponseError } from "./typescript-fetch/index";

const { CONTACTS_BASE_URL, CONTACTS_API_KEY, CONTACTS_WORKSPACE = "" } = process.env;
const configuration = new Configuration({ basePath: CONTACTS_BASE_URL, accessToken: CONTACTS_API_KEY });
const [name = "", email = ""] = process.argv.slice(2);

new ContactsApi(configuration)
  .createContactRaw({ newContact: { workspaceId: CONTACTS_WORKSPACE, name, email } })
  .then(async (response) => {
    const contact = await response.value();
    console.log(response.raw.status === 201 ? "created" : "existing", contact.id);
  })
  .catch(async (error: unknown) => {
    if (!(error instanceof ResponseError)) throw error;
    const { status, headers } = error.response;
    if (status === 409) console.log("conflict", headers.get("Location"));
    else throw new Error(`${status}: ${(await error.response.json()).error}`);
  });
