// Walk the console: every page in both languages, at two sizes, light and dark. Prints one JSON object: faults and facts.
// usage: walk.js URL FOLDER_FOR_SCREENSHOTS METER POINT CHANNEL
"use strict";
const fs = require("fs");
const { chromium } = require("playwright-core");

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const [base, out, meter, point, channel] = process.argv.slice(2);
const PAGES = {
  overview: "/", meter: `/meters/${meter}`, points: "/points", point: `/points/${point}`, faces: "/faces",
  channel: `/channels/${channel}`, alarms: "/alarms", events: "/events", configuration: "/configuration",
  login: "/login", missing: "/nothing",
};
const SIZES = { desktop: { width: 1360, height: 860 }, phone: { width: 390, height: 844 } };
const LOOKS = [["en", "en-GB", "light"], ["fr", "fr-FR", "dark"]];

async function walk(browser, faults, axe) {
  let pages = 0;
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const [language, locale, colorScheme] of LOOKS) {
      // axe is a script of ours in the page, which the page's own policy rightly forbids: a walk of its own
      const context = await browser.newContext({ viewport, locale, colorScheme, ignoreHTTPSErrors: true, bypassCSP: axe });
      for (const [name, path] of Object.entries(PAGES)) {
        const fault = (text) => faults.push(`${size} ${language} ${name}: ${text}`);
        const page = await context.newPage();
        page.on("console", (m) => {
          if (["error", "warning"].includes(m.type()) && !(name === "missing" && m.text().includes("404"))) fault(m.text());
        });
        page.on("pageerror", (error) => fault(String(error)));
        page.on("request", (request) => { if (!request.url().startsWith(base)) fault(`asks ${request.url()}`); });
        await page.goto(base + path, { waitUntil: "load" });
        await page.waitForTimeout(name === "channel" ? 2500 : 600);
        if ((await page.getAttribute("html", "lang")) !== language) fault("is in another language");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) fault(`is ${wide} px wider than the screen`);
        if (axe) {
          await page.evaluate(AXE);
          const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
          for (const v of found.violations) {
            if (["serious", "critical"].includes(v.impact)) fault(`axe ${v.id}: ${v.nodes[0].html.slice(0, 200)}`);
          }
        } else {
          await page.screenshot({ path: `${out}/${name}-${size}-${language}.png` });
        }
        pages += 1;
        await page.close();
      }
      await context.close();
    }
  }
  return pages;
}

async function first(browser) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  let bytes = 0;
  page.on("response", async (response) => { bytes += (await response.body().catch(() => Buffer.alloc(0))).length; });
  const began = Date.now();
  await page.goto(base + "/", { waitUntil: "load" });
  const took = Date.now() - began;
  await page.waitForTimeout(300);
  await context.close();
  return { bytes, took };
}

async function keyboard(browser, faults) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(base + "/");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  if ((await page.evaluate(() => document.activeElement.id)) !== "content") faults.push("the first tab stop does not skip the menu");
  await page.goto(base + "/points");
  await page.keyboard.press("/");
  await page.keyboard.type("frequency");
  await page.keyboard.press("Enter");
  await page.waitForURL(/search=frequency/);
  await context.close();
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: QUIET });
  const faults = [];
  try {
    const loaded = await first(browser);
    const pages = (await walk(browser, faults, false)) + (await walk(browser, faults, true));
    await keyboard(browser, faults);
    console.log(JSON.stringify({ faults, pages, ...loaded }));
  } finally {
    await browser.close();
  }
})();
