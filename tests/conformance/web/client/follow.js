// Stay on the overview without a reload and say in one line each when a meter is lost and when it is back.
// usage: follow.js URL METER
"use strict";
const { chromium } = require("playwright-core");

const [base, meter] = process.argv.slice(2);
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: QUIET });
  try {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" })).newPage();
    await page.goto(base + "/");
    await page.evaluate(() => { window.sameDocument = true; });
    const shows = (kind) => page.waitForSelector(`tr:has(a[href="/meters/${meter}"]) .dot.${kind}`, { timeout: 60000 });
    await shows("good");
    console.log("there");
    await shows("bad");
    console.log("lost");
    await shows("good");
    console.log((await page.evaluate(() => window.sameDocument)) ? "back" : "reloaded");
  } finally {
    await browser.close();
  }
})();
