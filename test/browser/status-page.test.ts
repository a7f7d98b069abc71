/**
 * The status page in a real browser: every control, its policy, and axe-core, which looks for what keeps people out.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf } from '../support/pharos.ts';
import { run, serve } from '../support/process.ts';
import { CHROMIUM, startChromium, type Page } from './chromium.ts';

const files = {
  'pharos.yaml': `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: secret }
regions: { seoul: { at: KR }, dublin: { at: IE } }
`,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
services:
  www:
    vips:
      a: { region: seoul, A: 192.0.2.1 }
      ${'b'.repeat(60)}: { region: seoul, A: 192.0.2.2 }
      c: { region: dublin, A: 192.0.2.3 }
    steer: [{ geo: { KR: [seoul, dublin], default: [dublin, seoul] } }]
  api: { vips: { only: { region: dublin, A: 192.0.2.9 } } }
`,
};

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Waits until the expression is true; looks whenever part of the page changes. */
function until(page: Page, expression: string): Promise<unknown> {
  return page.evaluate(`new Promise((resolve, reject) => {
    setTimeout(() => { reject(new Error('waited in vain: ' + ${JSON.stringify(expression)} + '\\n' + document.body?.innerText.slice(0, 3000))); }, ${PATIENCE_MS});
    const look = () => { if (document.body && (${expression})) resolve(true); };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
    look();
    document.addEventListener('DOMContentLoaded', look);
  })`);
}

const says = (text: string): string => `document.body.innerText.includes(${JSON.stringify(text)})`;
const click = (selector: string): string =>
  `document.querySelector(${JSON.stringify(selector)}).dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }))`;
const choose = (selector: string, value: string): string =>
  `(() => { const field = document.querySelector(${JSON.stringify(selector)}); field.value = ${JSON.stringify(value)}; field.dispatchEvent(new Event('change', { bubbles: true })); })()`;
const submit = (selector: string): string => `document.querySelector(${JSON.stringify(selector)}).requestSubmit()`;
const colourOf = (country: string): string =>
  `document.querySelector('.lands use[href="#c-${country}"]').className.baseVal.trim()`;

/** With text selected, the page does not change: axe compares what it saw first with what it measures later. */
async function expectNoBarriers(page: Page): Promise<void> {
  const found = await page.evaluate(`(async () => {
    if (!window.axe) { ${AXE} }
    getSelection().selectAllChildren(document.querySelector('h1, h2'));
    const { violations } = await axe.run();
    getSelection().removeAllRanges();
    return violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html).join(' | '));
  })()`);
  expect(found).toEqual([]);
}

describe.skipIf(CHROMIUM === undefined)('the status page', () => {
  test('shows a drain without a reload of the page', async () => {
    using folder = folderOf(files);
    await using server = await serve([], { cwd: folder.path });
    await using browser = await startChromium();
    const page = await browser.page();
    await page.open(`${server.api}/`);
    await until(page, says('3 of 3 available'));
    const rows = `[...document.querySelectorAll('.vips tbody tr')].map(({ cells }) => cells[0].firstChild.data + ' ' + cells[1].innerText + ' ' + cells[2].innerText)`;
    expect(await page.evaluate(rows)).toContain('a seoul not checked');
    await page.evaluate('window.mark = document.querySelector(".world")');
    const options = ['--api', server.api, '--token', 'secret', '--reason', 'why'];
    expect((await run(['drain', 'www.example.com/a', ...options])).code).toBe(0);
    // The event brings the change; the element of the map is still the same.
    await until(page, says('2 of 3 available'));
    expect(await page.evaluate(rows)).toContain('a seoul drain (probed unknown)');
    expect(await page.evaluate('window.mark === document.querySelector(".world")')).toBe(true);
    expect(await page.evaluate('document.title')).toMatch(/^1 VIP drained/);
    expect(await page.evaluate('document.querySelector("link[rel=icon]").href')).toContain(
      encodeURIComponent('#b26a00'),
    );
    // Style and script were allowed, and long names do not make the page wider than the window.
    expect(await page.evaluate('getComputedStyle(document.querySelector(".vips")).tableLayout')).toBe('fixed');
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(page.problems()).toEqual([]);
    await server.stop();
    await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
    await until(page, `document.body.classList.contains('lost')`);
  });

  test('every control works', async () => {
    using folder = folderOf(files);
    await using server = await serve([], { cwd: folder.path });
    await using browser = await startChromium();
    const page = await browser.page();
    await page.open(`${server.api}/`);
    await until(page, says('Who serves whom'));
    // "What if" by a region's box.
    expect(await page.evaluate(colourOf('KR'))).toBe('r0');
    await page.evaluate(click('input[name=down][value$="@seoul"]'));
    await until(page, says('of clients move if that fails'));
    expect(await page.evaluate(colourOf('KR'))).toBe('r1');
    expect(await page.evaluate(`document.querySelectorAll('.hatch').length`)).toBe(1);
    // A country's explanation, with the same "what if".
    await page.evaluate(click('.lands a[href*="country=KR"]'));
    await until(page, says('South Korea gets c'));
    expect(await page.evaluate('location.search')).toContain('country=KR');
    await page.evaluate(click('#why .close'));
    await until(page, `!document.getElementById('why')`);
    await page.evaluate('history.back()');
    await until(page, says('South Korea gets c'));
    await page.evaluate(
      `[...document.querySelectorAll('.regions a')].find((a) => a.innerText === 'Back to now').click()`,
    );
    await until(page, says('South Korea gets a'));
    // A client's explanation.
    await page.evaluate(`document.querySelector('input[name=client]').value = '192.0.2.200'`);
    await page.evaluate(submit('form:has(input[name=client]:not([type=hidden]))'));
    await until(page, says('192.0.2.200 gets'));
    // Other services, regions and names.
    await page.evaluate(choose('form.auto select[name=service]', 'api.example.com'));
    await until(page, `document.querySelectorAll('.vips').length === 1 && ${says('1 of 1 available')}`);
    await page.evaluate(click('.regions td a'));
    await until(page, says('Region dublin: 2 services'));
    await page.evaluate(`document.querySelector('input[name=find]').value = 'api'`);
    await page.evaluate(submit('header form'));
    await until(page, says('1 service with “api”'));
    await page.evaluate(click('header .name'));
    await until(page, says('2 services'));
    // A command: its effect first, then the order.
    await page.evaluate(click('a.do[href*="www.example.com%2Fc"]'));
    await until(page, says('Effect of drain www.example.com/c'));
    await page.evaluate(`document.querySelector('.act input[name=for]').value = '30m'`);
    await page.evaluate(`document.querySelector('.act input[name=reason]').value = "kernel's update"`);
    await page.evaluate(submit('form.act'));
    await until(page, `document.getElementById('line')?.innerText.includes('--for 30m')`);
    const line = `pharos drain www.example.com/c --for 30m --reason 'kernel'\\''s update'`;
    expect(await page.evaluate(`document.getElementById('line').innerText`)).toBe(line);
    expect(await page.evaluate(`document.getElementById('effect').innerText`)).toMatch(/of clients move: .* from c to/);
    await page.evaluate(click('.copy'));
    await until(page, `/Copied|Selected/.test(document.querySelector('.copy').innerText)`);
    const give = async (token: string): Promise<void> => {
      // Once the tab has a token, the form asks for no other one. A page that was fetched with a refused one lacks the
      // field too, until the next.
      await until(page, `sessionStorage.getItem('pharos-token') !== null || document.querySelector('.order input[name=token]') !== null`); // prettier-ignore
      await page.evaluate(`{ const field = document.querySelector('.order input[name=token]'); if (field) field.value = '${token}'; }`); // prettier-ignore
      await page.evaluate(submit('.order'));
    };
    await give('wrong');
    await until(page, says('Refused: wrong token'));
    await give('secret');
    await until(page, says('Done.'));
    await until(page, `document.querySelector('.orders')?.innerText.includes("kernel's update")`);
    expect(await page.evaluate(`document.querySelector('.orders').innerText`)).toMatch(/ends in (29|30) min/);
    expect(await page.evaluate('Object.keys(sessionStorage).join() + Object.keys(localStorage).join()')).toBe(
      'pharos-token',
    );
    // A weight, and giving back.
    await page.evaluate(`document.querySelector('.act select[name=act]').value = 'weight'`);
    await page.evaluate(`document.querySelector('.act input[name=weight]').value = '0'`);
    await page.evaluate(submit('form.act'));
    await until(page, says('Set the weight'));
    await give('secret');
    await until(page, says('weight 0 (file 1)'));
    await page.evaluate(`document.querySelector('.act input[name=weight]').value = 'auto'`);
    await page.evaluate(submit('form.act'));
    await until(page, says('pharos weight www.example.com/c auto'));
    await give('secret');
    await until(page, `!${says('weight 0 (file 1)')}`);
    await page.evaluate(`document.querySelector('.act select[name=act]').value = 'auto'`);
    await page.evaluate(submit('form.act'));
    await until(page, says('Give it back now'));
    await give('secret');
    await until(page, `!document.querySelector('.orders')`);
    await page.evaluate(`document.getElementById('countries').open = true`);
    expect(await page.evaluate(`document.querySelector('.countries').innerText`)).toContain('South Korea');
    // The refused token is an answer of the server, which the browser reports too.
    expect(page.problems().filter((text) => !text.includes('401'))).toEqual([]);
  });

  test('a form takes the token where reading needs one', async () => {
    const closed = files['pharos.yaml'].replace('token: secret', 'token: secret, open_reading: false');
    using folder = folderOf({ ...files, 'pharos.yaml': closed });
    await using server = await serve([], { cwd: folder.path });
    await using browser = await startChromium();
    const page = await browser.page();
    await page.open(`${server.api}/?service=www.example.com`);
    await until(page, says('Sign in'));
    await expectNoBarriers(page);
    expect(await page.evaluate('document.body.innerText')).not.toContain('192.0.2');
    const enter = (token: string): string => `(() => { document.querySelector('#sign-in input').value = ${JSON.stringify(token)}; document.querySelector('#sign-in').requestSubmit(); })()`; // prettier-ignore
    await page.evaluate(enter('wrong'));
    await until(page, says('This token is not one of this server.'));
    await page.evaluate(enter('secret'));
    await until(page, says('3 of 3 available'));
    await until(page, `document.querySelector('form[role=search]') !== null`);
    // A reload of the page does not ask again; an order needs no other token.
    await page.open(`${server.api}/?service=www.example.com&act=drain&target=www.example.com/c`);
    await until(page, says('As status.token'));
    await page.evaluate(submit('form.order'));
    await until(page, says('2 of 3 available'));
  });

  test('keeps nobody out: axe finds nothing, light or dark, on a screen or a phone', async () => {
    using folder = folderOf(files);
    await using server = await serve([], { cwd: folder.path });
    await using browser = await startChromium();
    const page = await browser.page();
    const options = ['--api', server.api, '--token', 'secret', '--for', '30m'];
    for (const command of ['drain', 'down']) {
      expect((await run([command, `www.example.com/${command === 'down' ? 'c' : 'a'}`, ...options])).code).toBe(0);
    }
    const views = [
      '/',
      '/?service=www.example.com&country=KR&down=www.example.com/@seoul&act=drain&target=www.example.com/a',
    ];
    for (const view of views) {
      await page.open(`${server.api}${view}`);
      await until(page, `document.readyState === 'complete' && ${says('Who serves whom')}`);
      await page.evaluate(`document.querySelectorAll('details').forEach((details) => { details.open = true; })`);
      for (const scheme of ['light', 'dark'] as const) {
        for (const width of [1280, 390]) {
          await page.show({ width, height: 900 }, scheme);
          await expectNoBarriers(page);
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
        }
      }
    }
  });

  test('a refresh with 1,000 services changes only what differs', async () => {
    const services = Array.from(
      { length: 1000 },
      (_, at) => `  s${at}: { vips: { a: { region: seoul, A: 192.0.2.1 } } }`,
    );
    const zone = `zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\nservices:\n${services.join('\n')}\n`;
    using folder = folderOf({ ...files, 'zones/example.com.yaml': zone });
    await using server = await serve([], { cwd: folder.path });
    await using browser = await startChromium();
    const page = await browser.page();
    await page.open(`${server.api}/`);
    await until(page, `document.readyState === 'complete'`);
    await page.evaluate(`window.added = 0;
      window.last = document.querySelector('a[href*="s999.example.com"]');
      new MutationObserver((list) => { for (const { addedNodes } of list) window.added += addedNodes.length; })
        .observe(document.querySelector('main'), { subtree: true, childList: true })`);
    expect((await run(['drain', 's7.example.com/a', '--api', server.api, '--token', 'secret', '--force'])).code).toBe(
      0,
    );
    await until(page, says('1 service down'));
    expect(await page.evaluate(`window.last.isConnected`)).toBe(true);
    expect(await page.evaluate('window.added')).toBeLessThan(200);
    expect(page.problems()).toEqual([]);
  });
});
