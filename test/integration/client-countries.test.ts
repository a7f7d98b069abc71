/**
 * The countries of a running server's clients: real packets with EDNS Client Subnet of two countries.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Simulation } from '../../server/forecast/simulate-failure.ts';
import type { ClientsDocument, StatusDocument } from '../../status/status-document.ts';
import { parseAddress } from '../../wire/address.ts';
import { encodeQuery, subnetOption, T } from '../support/message.ts';
import { writeMmdb } from '../support/mmdb.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, run, serve } from '../support/process.ts';

/** KR has 31/32 of the IPv4 addresses, IE the rest. */
const DATABASE = writeMmdb([
  ['20.0.0.0/8', { country: { iso_code: 'KR' } }],
  ['20.128.0.0/13', { country: { iso_code: 'IE' } }],
  ['2001:db8::/32', { country: { iso_code: 'IE' } }],
]);
const SERVICE =
  '{ vips: { a: { region: seoul, A: 203.0.113.1 }, b: { region: dublin, A: 203.0.113.2 } }, steer: [failover: [seoul, dublin]] }';
const zone = (...names: string[]): string =>
  `zone: example.com\nnameservers: [ns.example.net.]\nservices:\n${names.map((name) => `  ${name}: ${SERVICE}\n`).join('')}`;

/** Queries in flight at once: fewer than any socket buffer holds. */
const WINDOW = 100;

/** Sends the queries in turn, `count` in all, as answers arrive. */
async function ask(port: number, queries: readonly Buffer[], count: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let sent = 0;
  let answered = 0;
  const next = (): void => {
    if (sent < count) socket.send(queries[sent++ % queries.length] ?? '');
  };
  const done = Promise.withResolvers<undefined>();
  socket.on('message', () => {
    answered++;
    if (answered === count) done.resolve(undefined);
    else next();
  });
  socket.on('error', done.reject);
  for (let i = 0; i < WINDOW; i++) next();
  await done.promise;
  socket.close();
}

function from(name: string, subnet: string, bits: number): Buffer {
  const address = parseAddress(subnet) ?? new Uint8Array(4);
  return encodeQuery(`${name}.example.com`, T.A, { edns: { options: [subnetOption(address, bits)] } });
}

/** Counts fade from minute to minute, by a thousandth. */
function near(count: number): unknown {
  return expect.toSatisfy((found: number) => Math.abs(found - count) <= count / 100);
}

test('a running server knows the countries of its clients', async () => {
  using folder = folderOf({
    'pharos.yaml': `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: secret }
health: { wait: 0s }
workers: 2
geo: { databases: [small.mmdb] }
regions: { seoul: { at: KR }, dublin: { at: IE } }
`,
    'small.mmdb': DATABASE,
    'zones/example.com.yaml': zone('www', 'other'),
  });
  await using server = await serve([], { cwd: folder.path });
  const clientsOf = async (name: string): Promise<ClientsDocument> => {
    const document = (await (await fetch(`${server.api}/api/v1/status`)).json()) as StatusDocument;
    const service = document.services.find((each) => each.name === `${name}.example.com`);
    if (!service) throw new Error(`there is no ${name}`);
    return service.clients;
  };
  const simulate = async (): Promise<Simulation['services'][number] | undefined> => {
    const args = ['simulate', '--down', 'www.example.com/a', '--api', server.api, '--json'];
    const { stdout } = await run(args);
    return (JSON.parse(stdout) as Simulation).services[0];
  };
  const reload = async (): Promise<void> => {
    const headers = { authorization: 'Bearer secret' };
    expect((await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers })).status).toBe(200);
  };
  expect(await clientsOf('www')).toEqual({ samples: 0, countries: [], rest: 0 });
  expect(await simulate()).toMatchObject({ weighed: 'addresses' });

  // One in five is from KR; half of the others have IPv6.
  const queries = [
    from('www', '20.0.7.0', 24),
    ...[0, 1].flatMap(() => [from('www', '20.128.7.0', 24), from('www', '2001:db8:7::', 48)]),
  ];
  const ASKED = 100_000;
  await ask(server.port, queries, ASKED);
  // Samples of a generation are counted before the next one is in force. A reload without a change makes no generation.
  writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone('www', 'other', 'more'));
  await reload();
  const { samples, countries, rest } = await clientsOf('www');
  expect(Math.abs(samples - ASKED / 64.5)).toBeLessThan(150);
  expect(countries.map(({ country }) => country)).toEqual(['IE', 'KR']);
  // A share of 1/5 of 1,550 samples: one percent is a standard deviation.
  const [ie = { share: 0 }, kr = { share: 0 }] = countries;
  expect(Math.abs(kr.share - 0.2)).toBeLessThan(0.06);
  expect(ie.share).toBeCloseTo(1 - kr.share, 5);
  expect(rest).toBe(0);
  expect(await clientsOf('other')).toMatchObject({ samples: 0 });

  // All of them got the same VIP, so its count does not show their countries.
  const traffic = await simulate();
  expect(traffic).toMatchObject({ weighed: 'countries', moved: 1 });
  expect(traffic?.countries.map(({ country, moved }) => [country, moved])).toEqual([
    ['IE', expect.closeTo(ie.share, 4)],
    ['KR', expect.closeTo(kr.share, 4)],
  ]);
  const metrics = await (await fetch(`${server.api}/metrics`)).text();
  const total = (country: string): number =>
    Number(new RegExp(`^pharos_clients_sampled_total\\{country="${country}"\\} (\\d+)$`, 'm').exec(metrics)?.[1]);
  expect(samples).toEqual(near(total('IE') + total('KR')));
  expect(metrics).toMatch(/^pharos_client_samples_dropped_total 0$/m);

  // Services get other numbers; the counts stay with the name.
  writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone('first', 'other', 'www'));
  await reload();
  expect(await clientsOf('www')).toMatchObject({ samples: near(samples), countries: [{ country: 'IE' }, kr] });
  await ask(server.port, [from('other', '20.0.7.0', 24)], 3000);
  await eventually(
    () => clientsOf('other'),
    (found) => found.samples > 20,
  );
  expect((await clientsOf('other')).countries).toEqual([{ country: 'KR', share: 1 }]);
  expect(await clientsOf('www')).toMatchObject({ samples: near(samples) });
});
