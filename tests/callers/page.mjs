// The local run's start page in a real browser, at the size of a desktop and of a phone: it loads without an error and without
// the internet, its form is filled in and creates a contact, and the list shows it. Usage: node page.mjs URL DIRECTORY
// The directory gets the screenshots; docs/reference.png is the desktop's.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, directory] = process.argv.slice(2);
const KEY = "sf_test_v1_LocalDemoKeyLocalDemoKey";

async function visit(name, options, status) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
  try {
    const page = await browser.newPage(options);
    const problems = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("requestfailed", (request) => problems.push(`${request.url()} failed`));
    page.on("request", (request) => {
      const isElsewhere = !/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== new URL(url).origin;
      if (isElsewhere) problems.push(`${request.url()} is elsewhere`);
    });

    await page.goto(url);
    const execute = page.locator("#operation .execute");
    await execute.waitFor();
    assert.equal(await page.locator("#key").inputValue(), KEY);
    const { y, height } = await execute.boundingBox();
    assert.ok(y + height <= options.viewport.height, `Execute ends at ${y + height}`);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= options.viewport.width, `the page is ${width} wide`);

    const send = async () => {
      const response = page.waitForResponse((response) => response.url().endsWith("/api/contacts"));
      await execute.click();
      return response;
    };
    const response = await send();
    assert.equal(response.status(), status);
    const contact = await response.json();
    assert.equal(contact.companyName, "Acme Customer");
    // Both the response and the list show it, the list on top.
    await page.locator("#operation .live-responses-table", { hasText: contact.id }).waitFor();
    const newest = page.locator("#contacts tr").first();
    await newest.filter({ hasText: "henrik@acme-customer.de" }).waitFor();
    const list = await page.locator("main > section").first().boundingBox();
    const clip = { x: 0, y: 0, width: options.viewport.width, height: list.y + list.height + (await page.evaluate(() => scrollY)) };
    await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true, clip });

    // A key of the list gets what the list says.
    await page.locator("#key").selectOption("sf_test_v1_LocalPastKeyLocalPastKey");
    assert.equal((await send()).status(), 401);
    await page.locator("#key").selectOption("sf_test_v1_LocalOnlyKeyLocalOnlyKey");
    assert.equal((await send()).status(), 403);
    // Chromium logs a response with such a status as an error.
    const unexpected = problems.filter((text) => !/status of 40[13]/.test(text));
    assert.deepEqual(unexpected, []);
  } finally {
    await browser.close();
  }
}

await visit("desktop", { viewport: { width: 1200, height: 860 } }, 201);
await visit("phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, 200);
console.log("The start page loads, its form creates a contact, and the list shows it.");
