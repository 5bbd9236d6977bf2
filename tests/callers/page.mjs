// The local run's start page in a real browser: it loads without an error and without the internet, its form is filled in
// with the demo key, and it creates a contact. Usage: node page.mjs URL SCREENSHOT

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, screenshot] = process.argv.slice(2);
const profile = await mkdtemp(join(tmpdir(), "chromium-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  viewport: { width: 1200, height: 960 },
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await browser.newPage();
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("requestfailed", (request) => faults.push(`${request.url()} failed`));
  const elsewhere = [];
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== new URL(url).origin) {
      elsewhere.push(request.url());
    }
  });

  await page.goto(url);
  await page.locator("#operations-Contacts-createContact .opblock-summary-control").click();
  const answered = page.waitForResponse((response) => response.url().endsWith("/api/contacts"));
  await page.locator(".execute").click();
  const answer = await answered;
  assert.equal(answer.status(), 201);
  const contact = await answer.json();
  assert.equal(contact.companyName, "Acme Customer");
  assert.equal(answer.headers().location, `/api/contacts/${contact.id}`);
  // And the page shows it: the picture goes from the form to the end of the response.
  const live = page.locator(".live-responses-table", { hasText: contact.id });
  await live.waitFor();
  await page.locator(".body-param__text").evaluate((text) => (text.style.minHeight = text.style.height = "110px"));
  await page.setViewportSize({ width: 1200, height: 3000 });
  await page.evaluate(() => scrollTo(0, 0));
  const form = await page.locator(".opblock-section-request-body").boundingBox();
  const shown = await live.boundingBox();
  const clip = { x: 0, y: form.y, width: 1200, height: shown.y + shown.height - form.y + 6 };
  assert.ok(clip.height > 400 && clip.y + clip.height < 3000);
  await page.screenshot({ path: screenshot, clip });

  assert.deepEqual(faults, []);
  assert.deepEqual(elsewhere, []);
} finally {
  await browser.close();
  await rm(profile, { recursive: true });
}
console.log("The start page loads, and its form creates a contact.");
