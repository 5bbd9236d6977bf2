"""Creates a contact with openapi-generator's Python client."""

import os
import sys
from uuid import UUID

import openapi_client

configuration = openapi_client.Configuration(
    host=os.environ["CONTACTS_BASE_URL"], access_token=os.environ["CONTACTS_API_KEY"]
)
name, email = sys.argv[1:]
contact = openapi_client.NewContact(workspace_id=UUID(os.environ["CONTACTS_WORKSPACE"]), name=name, email=email)
with openapi_client.ApiClient(configuration) as client:
    try:
        response = openapi_client.ContactsApi(client).create_contact_with_http_info(contact)
        print({201: "created", 200: "existing"}[response.status_code], response.data.id)
    except openapi_client.exceptions.ConflictException as conflict:
        print("conflict", conflict.headers["Location"])
    except openapi_client.ApiException as failure:
        sys.exit(f"{failure.status}: {failure.data.error}")
