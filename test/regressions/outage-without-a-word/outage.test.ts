/**
 * All VIPs of a service were down and nothing reported it: `alarms: []`, "ready" in green, and level info in the log.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { alarmEvents, serveAlarmed } from '../../support/alarmed-server.ts';
import { freePort } from '../../support/free-port.ts';
import { run } from '../../support/process.ts';

test('status, page, tab, metrics, events and log report that a service is down, until it is not', async () => {
  // Only `a` is there at first.
  const port = await freePort();
  const target = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  await once(target, 'listening');
  const check = `{ type: tcp, port: ${port}, interval: 200ms, fast: 100ms, timeout: 2s, rise: 1, fall: 1 }`;
  await using alarmed = await serveAlarmed({ check });
  const { server, logged } = alarmed;
  expect(await alarmed.alarm('service_degraded')).toMatchObject({
    severity: 'warning',
    subject: 'www.example.com',
    message: '1 of 2 VIPs of www.example.com are available (down: b).',
  });

  target.close();
  expect(await alarmed.alarm('service_down')).toMatchObject({
    severity: 'critical',
    subject: 'www.example.com',
    message:
      'No VIP of www.example.com is available (down: a, b). Clients get all VIPs, as if they were up (when_all_down: serve_all).',
  });
  const page = await (await fetch(`${server.api}/`, { headers: { accept: 'text/html' } })).text();
  expect(page).toContain('<title>1 service down · 2 of 2 VIPs down · Pharos</title>');
  expect(page).toContain('<b class="bad">ready</b>, <b class="bad">1 alarm (1 critical)</b>');
  expect(await (await fetch(`${server.api}/metrics`)).text()).toContain('pharos_alarm{code="service_down"} 1\n');
  const status = await run(['status', '--api', server.api], { env: { NO_COLOR: '1' } });
  expect(status.stdout).toMatch(/^ALARM service_down for \d+ s: No VIP of www\.example\.com is available/m);

  const again = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  await once(again, 'listening');
  await alarmed.over('service_down');
  again.close();
  expect(logged('service_down')).toEqual([
    expect.stringMatching(/^error: No VIP of www\.example\.com is available/),
    'info: alarm over: service_down www.example.com',
  ]);
  expect(await alarmEvents(alarmed)).toEqual(expect.arrayContaining(['raised service_down', 'over service_down']));
  expect(server.stdout()).toMatch(
    /"level":(40|"warn"),[^\n]*"kind":"state","target":"www\.example\.com\/a"[^\n]*"to":"down"/,
  );
});
