/**
 * The catalog zone (RFC 9432): Knot and BIND find the zones of Pharos in it, and lose those that are removed.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, has, serve, start, type Running, type Served } from '../support/process.ts';

const zone = (name: string): string => `zone: ${name}\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n`;

let folder: ReturnType<typeof folderOf>;
let primary: Served;
let ports: { readonly knot: number; readonly bind: number };
beforeAll(async () => {
  ports = { knot: await freePort(), bind: await freePort() };
  folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': [
      NO_GEOGRAPHY['pharos.yaml'],
      'listen: 127.0.0.1:0',
      'status: { listen: 127.0.0.1:0 }',
      'reload: { max_shrink: 100% }',
      'transfer:',
      '  catalog: catalog.invalid',
      '  allow: [{ from: 127.0.0.1 }]',
      `  notify: ["127.0.0.1:${ports.knot}", "127.0.0.1:${ports.bind}"]`,
      '',
    ].join('\n'),
    'zones/example.com.yaml': zone('example.com'),
    'zones/example.net.yaml': zone('example.net'),
    'secondary/.keep': '',
  });
  primary = await serve([], { cwd: folder.path });
});
afterAll(async () => {
  await primary[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function reload(): Promise<void> {
  const before = await dig(primary.port, 'catalog.invalid', 'SOA');
  primary.child.kill('SIGHUP');
  await eventually(
    () => dig(primary.port, 'catalog.invalid', 'SOA'),
    (soa) => soa !== '' && soa !== before,
  );
}

const SECONDARIES: Readonly<Record<'knot' | 'bind', { readonly program: string; run: (port: number) => Running }>> = {
  knot: {
    program: '/usr/sbin/knotd',
    run: (port) => {
      const path = join(folder.path, 'secondary');
      const config = [
        'server:',
        `  rundir: "${path}"`,
        `  listen: 127.0.0.1@${port}`,
        'database:',
        `  storage: "${path}"`,
        'remote:',
        '- id: pharos',
        `  address: 127.0.0.1@${primary.port}`,
        'acl:',
        '- id: notify',
        '  address: 127.0.0.1',
        '  action: notify',
        'template:',
        '- id: default',
        `  storage: "${path}"`,
        '- id: member',
        `  storage: "${path}"`,
        '  master: pharos',
        '  acl: notify',
        'zone:',
        '- domain: catalog.invalid',
        '  master: pharos',
        '  acl: notify',
        '  catalog-role: interpret',
        '  catalog-template: member',
        '',
      ];
      writeFileSync(join(path, 'knot.conf'), config.join('\n'));
      return start(['-c', join(path, 'knot.conf')], { command: '/usr/sbin/knotd' });
    },
  },
  bind: {
    program: '/usr/sbin/named',
    run: (port) => {
      const path = join(folder.path, 'secondary');
      const config = [
        'options {',
        `  directory "${path}";`,
        `  pid-file "${path}/named.pid"; session-keyfile "${path}/session.key"; lock-file none;`,
        `  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };`,
        '  recursion no; dnssec-validation no; allow-notify { 127.0.0.1; };',
        `  catalog-zones { zone "catalog.invalid" default-primaries { 127.0.0.1 port ${primary.port}; } min-update-interval 0; };`,
        '};',
        'controls { };',
        `zone "catalog.invalid" { type secondary; primaries { 127.0.0.1 port ${primary.port}; }; file "catalog.db"; };`,
        '',
      ];
      writeFileSync(join(path, 'named.conf'), config.join('\n'));
      return start(['-g', '-c', join(path, 'named.conf')], { command: '/usr/sbin/named' });
    },
  },
};

describe.each(['knot', 'bind'] as const)('%s', (name) => {
  const { program, run } = SECONDARIES[name];
  test.skipIf(!has(program))('serves the zones that the catalog lists', async () => {
    await using secondary = run(ports[name]);
    const address = (of: string) => () => dig(ports[name], `ns1.${of}`);
    const isServed = (answer: string): boolean => answer === '192.0.2.53';
    expect(secondary.child.pid).toBeGreaterThan(0);
    await eventually(address('example.com'), isServed);
    await eventually(address('example.net'), isServed);
    writeFileSync(join(folder.path, 'zones/example.org.yaml'), zone('example.org'));
    await reload();
    await eventually(address('example.org'), isServed);
    rmSync(join(folder.path, 'zones/example.org.yaml'));
    await reload();
    await eventually(address('example.org'), (answer) => !isServed(answer));
    expect(isServed(await address('example.com')())).toBe(true);
  });
});
