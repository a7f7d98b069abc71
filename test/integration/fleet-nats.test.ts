/**
 * NATS as docs/fleet.md sets it up, with real servers: one, a cluster of three, leaf nodes, TLS, every way to log in,
 * and permissions. The configurations are those of the page, with addresses and files of the test.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, nkeys } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { bucketName } from '../../fleet/order-bucket.ts';
import { makeCertificate } from '../support/certificate.ts';
import {
  agreed,
  openFleetLab,
  order,
  says,
  works,
  type FleetLab,
  type FleetNode,
  type FleetNodeOptions,
} from '../support/fleet-node.ts';
import { freePort } from '../support/free-port.ts';
import { HAS_NATS, makeCredentials, type NatsServer } from '../support/nats.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { eventually } from '../support/process.ts';
import { openWire } from '../support/wire.ts';

const PAGE = readFileSync(new URL('../../docs/fleet.md', import.meta.url), 'utf8');

/** A block of the page by the comment in its first line, without what the test sets: name and address. */
function block(title: string): string {
  const text = PAGE.split('```').find((each) => each.trimStart().startsWith(`# ${title}`));
  if (text === undefined) throw new Error(`docs/fleet.md has no block "# ${title}"`);
  return text
    .split('\n')
    .filter((line) => !/^(?:server_name|listen:)/.test(line))
    .join('\n');
}

// Nearly all of their time is waiting.
describe.skipIf(!HAS_NATS).concurrent('NATS of a fleet', () => {
  test('one server', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats({ config: block('one server') });
    const nodes = ['a', 'b'].map((name) => lab.join({ name, servers: [server.url] }));
    await Promise.all(nodes.map(({ fleet }) => fleet.joined));
    await works(nodes);
    expect(nodes.flatMap(({ alarms }) => alarms.list())).toEqual([]);
  });

  test('three servers: the loss of the one that leads the orders is outlived', async () => {
    await using lab = openFleetLab();
    const servers = await lab.cluster(block('three servers'));
    const urls = servers.map(({ url }) => url);
    const nodes = ['a', 'b', 'c'].map((name, at) =>
      lab.join({ name, servers: [...urls.slice(at), ...urls.slice(0, at)] }),
    );
    await works(nodes);

    const connection = await connect({ servers: urls });
    const manager = await jetstreamManager(connection, { timeout: PATIENCE_MS });
    const { config, cluster } = await manager.streams.info(`KV_${bucketName('test')}`);
    await connection.close();
    expect(config.num_replicas).toBe(3);
    const leader = servers.find((_, at) => cluster?.leader === `n${String(at + 1)}`);
    expect(leader).toBeDefined();
    await leader?.kill();
    await works(nodes);
    await leader?.start();
    await works(nodes);
  });

  test('leaf nodes: votes and orders cross; a region that is cut off still hears itself', async () => {
    await using lab = openFleetLab();
    const port = await freePort();
    await using wire = await openWire(port);
    const away = `127.0.0.1:${String(wire.port)}`;
    // Servers tell each other their addresses: the link of the test is the only way.
    const listen = `listen: 127.0.0.1:${String(port)}, advertise: "${away}"`;
    const hub = await lab.nats({ name: 'hub', config: block('hub').replace('listen: 0.0.0.0:7422', listen) });
    const remote = block('leaf').replace('nats-1.example.net:7422', away);
    const leaf = await lab.nats({ name: 'leaf', jetstream: false, config: remote });
    const domain = 'hub';
    const [a, b, c] = [
      lab.join({ name: 'a', servers: [hub.url], domain }),
      lab.join({ name: 'b', servers: [leaf.url], domain, region: 'seoul' }),
      lab.join({ name: 'c', servers: [leaf.url], domain, region: 'seoul' }),
    ];
    await works([a, b, c]);
    wire.cut();
    await eventually(
      () => Promise.resolve([a.heard(), b.heard(), c.heard()]),
      (heard) => JSON.stringify(heard) === '[[],["c"],["b"]]',
    );
    const kept = await order(a, 'state.hub');
    wire.mend();
    await agreed([a, b, c], 'state.hub', kept);
    await works([a, b, c]);
  });

  test('TLS on both sides; without a certificate of its own a node is refused', async () => {
    await using lab = openFleetLab();
    const ca = makeCertificate({ name: 'authority' });
    const [server, client] = [
      makeCertificate({ name: 'localhost', issuer: ca }),
      makeCertificate({ name: 'ams1', issuer: ca }),
    ];
    const write = (name: string, text: string): string => {
      writeFileSync(join(lab.folder, name), text);
      return join(lab.folder, name);
    };
    const config = block('tls')
      .replace('/etc/nats/server.pem', write('server.pem', server.cert))
      .replace('/etc/nats/server.key', write('server.key', server.key))
      .replace('/etc/nats/ca.pem', write('ca.pem', ca.cert));
    const { port } = await lab.nats({ config });
    const servers = [`tls://localhost:${String(port)}`];
    const tls = { ca: ca.cert, cert: client.cert, key: client.key };
    const strange = lab.join({ name: 'c', servers, tls: { ca: undefined, cert: client.cert, key: client.key } });
    const bare = lab.join({ name: 'd', servers, tls: { ca: ca.cert, cert: undefined, key: undefined } });
    await works(['a', 'b'].map((name) => lab.join({ name, servers, tls })));
    await says(strange, /cannot connect to NATS at tls:.*certificate/);
    expect([strange.fleet.isConnected(), bare.fleet.isConnected()]).toEqual([false, false]);
  });

  test('tls:// does not connect to a server without TLS', async () => {
    await using lab = openFleetLab();
    const { port } = await lab.nats();
    const node = lab.join({ name: 'a', servers: [`tls://127.0.0.1:${String(port)}`] });
    await says(node, "server does not support 'tls'");
    expect(node.fleet.isConnected()).toBe(false);
  });

  const key = nkeys.createUser();
  const stranger = nkeys.createUser();
  const seedOf = (pair: nkeys.KeyPair): string => new TextDecoder().decode(pair.getSeed());
  const jwt = makeCredentials();
  test.each<{ way: string; config: string; login: FleetNodeOptions['login']; wrong: FleetNodeOptions['login'] }>([
    {
      way: 'user and password',
      config: 'authorization { users: [{ user: ams1, password: secret }] }',
      login: { user: 'ams1', password: 'secret' },
      wrong: { user: 'ams1', password: 'guess' },
    },
    { way: 'token', config: 'authorization { token: secret }', login: { token: 'secret' }, wrong: { token: 'guess' } },
    {
      way: 'nkey',
      config: `authorization { users: [{ nkey: ${key.getPublicKey()} }] }`,
      login: { nkey: seedOf(key) },
      wrong: { nkey: seedOf(stranger) },
    },
    {
      way: 'credentials',
      config: jwt.config,
      login: { credentials: jwt.credentials },
      wrong: { credentials: makeCredentials().credentials },
    },
  ])('login by $way', async ({ config, login, wrong }) => {
    await using lab = openFleetLab();
    const { url: server } = await lab.nats({ config });
    const refused = lab.join({ name: 'x', servers: [server], login: wrong ?? {} });
    const node = lab.join({ name: 'a', servers: [server], login: login ?? {} });
    await order(node, 'state.a');
    await says(refused, `cannot connect to NATS at ${server}: Authorization Violation`);
    expect(refused.fleet.isConnected()).toBe(false);
  });

  /** The login of a node as the page has it, without the lines that match. */
  const permitted = (name: string, less?: RegExp): string => {
    const [, user = ''] = /users: \[\n([^]*)\n {2}\]/.exec(block('permissions')) ?? [];
    const own = user.replaceAll('prod', 'test').replaceAll('ams1', name);
    return less === undefined ? own : own.replace(less, '');
  };
  const withLogin = (
    lab: FleetLab,
    name: string,
    server: NatsServer,
    more: Partial<FleetNodeOptions> = {},
  ): FleetNode => lab.join({ name, servers: [server.url], login: { user: name, password: 'a secret' }, ...more });

  test('the permissions of the page suffice', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats({
      config: `authorization { users: [${['a', 'b', 'c'].map((name) => permitted(name)).join('\n')}] }`,
    });
    // A node with another check asks for lists of targets.
    const nodes = ['a', 'b'].map((name) => withLogin(lab, name, server));
    const other = withLogin(lab, 'c', server, { check: 'other' });
    await works([...nodes, other]);
    await eventually(
      () =>
        Promise.resolve(nodes.map(({ fleet }) => fleet.votes('www/a')?.voters.map(({ node, vote }) => [node, vote]))),
      (votes) => votes.every((each) => each?.length === 3),
    );
    nodes[0]?.fleet.report({ target: 'www/a', healthy: true });
    await eventually(
      () => Promise.resolve(nodes[1]?.reports),
      (reports) => reports?.length === 1,
    );
    for (const { lines, alarms } of [...nodes, other]) {
      expect(lines.filter((line) => line.includes('permit'))).toEqual([]);
      expect(alarms.list()).toEqual([]);
    }
  });

  const LESS = {
    voteless: [/"pharos.test.\*.voteless"/, 'publish to "pharos.test.vote.voteless"'],
    deaf: [/"pharos.test.>", /, 'subscribe to "pharos.test.vote.>"'],
    bucketless: [/"\$JS.API.STREAM.INFO.[^"]+"/, 'publish to "$JS.API.STREAM.INFO.KV_pharos_test_orders"'],
    blind: [/"\$JS.API.CONSUMER.CREATE[^"]+"/, 'publish to "$JS.API.CONSUMER.CREATE.KV_pharos_test_orders.'],
    orderless: [/"\$KV.[^"]+"/, 'publish to "$KV.pharos_test_orders.state.orderless"'],
  } as const satisfies Record<string, readonly [RegExp, string]>;

  test('less is refused, and what is refused is logged and raises an alarm', async () => {
    await using lab = openFleetLab();
    const rows = Object.entries(LESS);
    const users = [permitted('a'), ...rows.map(([name, [less]]) => permitted(name, less))];
    const server = await lab.nats({ config: `authorization { users: [${users.join('\n')}] }` });
    await order(withLogin(lab, 'a', server), 'state.a');
    const nodes = rows.map(([name]) => withLogin(lab, name, server));
    const orderless = nodes.at(-1)?.fleet;
    await eventually(
      () => Promise.resolve(orderless?.orderOf('state.a')),
      (known) => known !== undefined,
    );
    await expect(orderless?.order('state.orderless', { target: 'a' })).rejects.toThrow(/[Pp]ermission/);
    for (const node of nodes) {
      const [, words] = LESS[node.name as keyof typeof LESS];
      await says(node, `NATS does not permit this node to ${words}`);
      await eventually(
        () => Promise.resolve(node.alarms.list().map(({ code, message }) => `${code} ${message}`)),
        (all) => all.some((text) => text.startsWith('nats_refused') && text.includes(words)),
      );
    }
  });
});
