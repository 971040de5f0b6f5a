// Walk the console, logged in: every page in both languages, at two sizes, light and dark, as axe-core judges it; some
// pages without a login besides. Prints one JSON object: faults and facts.
// usage: walk.js URL FOLDER_FOR_SCREENSHOTS METER INDEX POWER CHANNEL USER PASSWORD
"use strict";
const fs = require("fs");
const { chromium } = require("playwright-core");

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const [base, out, meter, index, power, channel, user, password] = process.argv.slice(2);
const PAGES = {
  overview: "/", meter: `/meters/${meter}`, points: "/points", point: `/points/${power}`,
  trends: `/trends?span=15min&point=${power}&point=${index}`, energy: "/energy", trail: `/energy/${index}`,
  faces: "/faces", channel: `/channels/${channel}`, alarms: "/alarms", events: "/events",
  configuration: "/configuration", access: "/access", setup: "/setup", login: "/login", missing: "/nothing",
};
const OPEN = { trends: "/trends", alarms: "/alarms", configuration: "/configuration", access: "/access" };
const SIZES = { desktop: { width: 1360, height: 860 }, phone: { width: 390, height: 844 } };
const LOOKS = [["en", "en-GB", "light"], ["fr", "fr-FR", "dark"]];

async function logIn(context) {
  const page = await context.newPage();
  await page.goto(base + "/login");
  await page.fill("input[name=user]", user);
  await page.fill("input[name=password]", password);
  await page.click("main button");
  await page.waitForURL(base + "/");
  await page.close();
}

async function visit(context, name, path, language, picture, judged, fault) {
  const page = await context.newPage();
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type()) && !(name === "missing" && m.text().includes("404"))) fault(m.text());
  });
  page.on("pageerror", (error) => fault(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith(base)) fault(`asks ${request.url()}`); });
  await page.goto(base + path, { waitUntil: "load" });
  if (name === "channel") await page.waitForSelector("table.frames td.when");
  await page.waitForTimeout(200);
  if ((await page.getAttribute("html", "lang")) !== language) fault("is in another language");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) fault(`is ${wide} px wider than the screen`);
  if (picture) await page.screenshot({ path: picture });
  if (judged) {
    // evaluated by the debugger, which the page's own policy rightly has no say in
    await page.evaluate(AXE);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const v of found.violations) {
      if (["serious", "critical"].includes(v.impact)) fault(`axe ${v.id}: ${v.nodes[0].html.slice(0, 200)}`);
    }
  }
  await page.close();
}

async function walk(browser, faults) {
  let pages = 0;
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const [language, locale, colorScheme] of LOOKS) {
      const context = await browser.newContext({ viewport, locale, colorScheme, ignoreHTTPSErrors: true });
      if (size === "phone" && language === "fr") {
        for (const [name, path] of Object.entries(OPEN)) {
          await visit(context, name, path, language, "", true, (text) => faults.push(`open ${name}: ${text}`));
          pages += 1;
        }
      }
      await logIn(context);
      for (const [name, path] of Object.entries(PAGES)) {
        const picture = `${out}/${name}-${size}-${language}.png`;
        // one look of each size, language and theme: a judgement takes a second
        const judged = (size === "desktop") === (language === "en");
        await visit(context, name, path, language, picture, judged, (text) => faults.push(`${size} ${language} ${name}: ${text}`));
        pages += 1;
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

// a picture is read with the arrow keys, and dragging over its right half zooms into that
async function zoom(browser, faults) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB", viewport: SIZES.desktop });
  const page = await context.newPage();
  await page.goto(`${base}/trends?span=15min&point=${power}`);
  await page.waitForFunction(() => /M\d/.test(document.querySelector("svg.chart path").getAttribute("d")));
  await page.focus("svg.chart");
  await page.keyboard.press("ArrowLeft");
  const read = await page.textContent("[data-readout]");
  if (!read.includes(power)) faults.push(`the arrow keys read: ${read}`);
  const box = await page.locator("svg.chart").boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + box.height * 0.5, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/begin=.*end=/);
  const [begin, end] = ["begin", "end"].map((name) => Date.parse(new URL(page.url()).searchParams.get(name) + "Z"));
  const share = (end - begin) / 900000;
  if (share < 0.35 || share > 0.5) faults.push(`dragging over 40 % of the picture shows ${share} of it`);
  await context.close();
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: QUIET });
  const faults = [];
  try {
    const loaded = await first(browser);
    const pages = await walk(browser, faults);
    await keyboard(browser, faults);
    await zoom(browser, faults);
    console.log(JSON.stringify({ faults, pages, ...loaded }));
  } finally {
    await browser.close();
  }
})();
