/**
 * Failover and `suspect` on the wire, with real targets: killed, changed to 503, cut off; and this machine's own links
 * taken down, if network namespaces are permitted. `npm run bench:failover` measures the same with more runs.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, firstAnswer, addressesOf, type Lab, type Target } from '../support/failover-lab.ts';
import { freePort } from '../support/free-port.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, serve, type Served } from '../support/process.ts';

/** A target that is up answers within the timeout on a busy machine too; the test of silence waits for it once. */
const CHECK = { intervalMs: 1000, timeoutMs: 2000, fastMs: 100, fall: 3 };
const REGIONS = ['seoul', 'virginia', 'dublin'];
let lab: Lab;
let pharos: Served;
let folder: ReturnType<typeof folderOf>;

beforeAll(async () => {
  const port = await freePort();
  lab = await createLab(REGIONS.length, port);
  if (lab.links === undefined)
    console.log('network namespaces are not permitted here: tests that cut links are skipped');
  folder = folderOf({
    'pharos.yaml':
      'listen: ["127.0.0.1:0"]\nworkers: 1\nzones: [zone.yaml]\nstatus: { listen: "127.0.0.1:0" }\nstate_dir: ./state\n',
  });
  const { intervalMs, timeoutMs, fastMs, fall } = CHECK;
  const timing = `interval: ${intervalMs}ms, timeout: ${timeoutMs}ms, fast: ${fastMs}ms, rise: 2, fall: ${fall}`;
  const zone = [
    ...[
      'zone: example.com',
      'nameservers: [ns1]',
      'soa: { contact: hostmaster }',
      'records: { ns1: { A: 192.0.2.53 } }',
    ],
    `regions: { ${REGIONS.map((name, index) => `${name}: { at: "${index},${index}" }`).join(', ')} }`,
    `checks: { web: { type: http, port: ${port}, ${timing} } }`,
    ...['services:', '  www:', '    check: web', '    answers: all', '    steer: [all]', '    vips:'],
    ...lab.targets.map(({ address }, index) => `      v${index}: { region: ${REGIONS[index] ?? ''}, A: ${address} }`),
  ];
  writeFileSync(join(folder.path, 'zone.yaml'), [...zone, ''].join('\n'));
  pharos = await serve([join(folder.path, 'pharos.yaml')]);
  await whole();
});
afterAll(async () => {
  // The lab first: its links must be removed, also if the server did not start.
  await lab.stop();
  await pharos.stop();
  folder[Symbol.dispose]();
});

function targetAt(index: number): Target {
  const target = lab.targets[index];
  if (target === undefined) throw new Error(`there is no target ${index}`);
  return target;
}

type Status = { readonly vips: readonly { readonly probed: string }[]; readonly alarms: readonly { readonly code: string; readonly message: string }[] }; // prettier-ignore

async function status(): Promise<{ states: string[]; alarms: Status['alarms'] }> {
  const { vips, alarms } = (await (await fetch(`${pharos.api}/api/v1/status`)).json()) as Status;
  return { states: vips.map(({ probed }) => probed), alarms };
}

/** Until every target is up again. */
async function whole(): Promise<number> {
  return await eventually(
    status,
    ({ states, alarms }) =>
      states.length === REGIONS.length && states.every((state) => state === 'up') && alarms.length === 0,
  );
}

const ask = (): Promise<readonly string[]> => addressesOf(pharos.port, 'www.example.com');

/** Until answers have the target, or not. Unit tests of the health room say how long that takes, by their clock. */
async function answered(target: Target, wanted: boolean): Promise<void> {
  await firstAnswer(pharos.port, 'www.example.com', (addresses) => addresses.length > 0 && addresses.includes(target.address) === wanted, PATIENCE_MS); // prettier-ignore
}

/** From a fault to the first answer without the target, and from its end to the first answer with it. */
async function failover(target: Target, begin: () => unknown, end: () => unknown): Promise<void> {
  await begin();
  await answered(target, false);
  // The service has lost a VIP; this node has no fault.
  expect((await status()).alarms.map(({ code }) => code)).toEqual(['service_degraded']);
  await end();
  await answered(target, true);
  await whole();
}

describe('one of three fails: its clients are elsewhere, and it does not count as a fault of this node', () => {
  test('killed', async () => {
    for (const index of [0, 1, 2]) {
      const target = targetAt(index);
      await failover(target, () => target.kill(), () => target.start()); // prettier-ignore
    }
  });

  test('503', async () => {
    const target = targetAt(1);
    await failover(target, () => target.answer(503), () => target.answer(200)); // prettier-ignore
  });

  test('silent', async (context) => {
    const target = targetAt(2);
    const { link } = target;
    if (link === undefined) {
      context.skip('network namespaces are not permitted here');
      return;
    }
    await failover(target, () => { link.down(); }, () => { link.up(); }); // prettier-ignore
  });
});

describe("this node's own network", () => {
  test.for(['here', 'silent'] as const)(
    'fails (%s) and returns: states are frozen, an alarm is shown, the real states are found',
    async (where, context) => {
      const { links } = lab;
      if (links === undefined) {
        context.skip('network namespaces are not permitted here');
        return;
      }
      const events = async (): Promise<readonly { kind: string; to: string; message: string }[]> =>
        (await (
          await fetch(`${pharos.api}/api/v1/events`, { headers: { accept: 'application/json' } })
        ).json()) as never;
      const downs = async (): Promise<number> => JSON.stringify(await events()).split('"to":"down"').length;
      const before = await downs();
      if (where === 'here') links.hereDown();
      else links.down();
      try {
        await eventually(status, ({ alarms }) => alarms.some(({ code }) => code === 'suspect'));
        expect((await status()).alarms[0]?.message).toMatch(/^3 of 3 healthy VIPs failed at once/);
        expect(await (await fetch(`${pharos.api}/metrics`)).text()).toContain('pharos_alarm{code="suspect"} 1');
        expect(pharos.stdout()).toMatch(/failed at once\. Suspecting this node's network: states are frozen/);
        await eventually(events, (all) => JSON.stringify(all).includes('suspect: 3 of 3'));
        const probes = async (): Promise<string> => /^pharos_probes_total\{result="failed?"\} .*$/m.exec(await (await fetch(`${pharos.api}/metrics`)).text())?.[0] ?? ''; // prettier-ignore
        const probed = await probes();
        await eventually(probes, (now) => now !== probed);
        expect((await status()).states).toEqual(['up', 'up', 'up']);
        expect((await ask()).length).toBe(3);
      } finally {
        if (where === 'here') links.hereUp();
        else links.up();
      }
      await whole();
      expect(await downs()).toBe(before);
      expect((await ask()).length).toBe(3);
    },
  );
});
