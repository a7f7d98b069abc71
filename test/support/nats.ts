/**
 * NATS servers for tests: real ones (Debian: nats-server), started with a configuration file, killed, stopped with
 * SIGSTOP, and started again on the same port.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { freePort } from './free-port.ts';
import { has } from './process.ts';
import { findProgram } from './server-process.ts';

export const HAS_NATS = has('nats-server') || findProgram('nats-server') !== undefined;

export type NatsServer = {
  readonly port: number;
  readonly url: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** After `kill`, on the same port. `lose`: without the data that it had. */
  start(options?: { readonly lose?: boolean }): Promise<void>;
  /** SIGSTOP: connections stay open, and nothing answers. */
  freeze(): void;
  thaw(): void;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type NatsServerOptions = {
  /** For its data and its configuration. */
  readonly folder: string;
  readonly name?: string;
  /** Beside its name and address. JetStream is added unless it has it, or `jetstream` is false. */
  readonly config?: string;
  readonly jetstream?: boolean;
  readonly port?: number;
};

/** Starts one, and waits until it says that it is ready. */
export async function startNats(options: NatsServerOptions): Promise<NatsServer> {
  const { folder, name = 'n1', config = '', jetstream = true, port = await freePort() } = options;
  const own = join(folder, name);
  const store = join(own, 'js');
  const file = join(own, 'nats.conf');
  mkdirSync(own, { recursive: true });
  const data = jetstream && !config.includes('jetstream') ? `jetstream { store_dir: "${store}" }\n` : '';
  const rest = config.replace('/var/lib/nats', store);
  writeFileSync(file, `server_name: ${name}\nlisten: 127.0.0.1:${String(port)}\n${data}${rest}`);
  let child: ChildProcess;
  const start = async ({ lose = false }: { readonly lose?: boolean } = {}): Promise<void> => {
    if (lose) rmSync(store, { recursive: true, force: true });
    child = spawn(findProgram('nats-server') ?? 'nats-server', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    await untilReady(child);
  };
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    port,
    url: `nats://127.0.0.1:${String(port)}`,
    kill,
    start,
    freeze: () => {
      child.kill('SIGSTOP');
    },
    thaw: () => {
      child.kill('SIGCONT');
    },
    [Symbol.asyncDispose]: kill,
  };
}

function untilReady(child: ChildProcess): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.once('exit', () => {
      reject(new Error(`nats-server ended:\n${said}`));
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-20_000);
      if (said.includes('Server is ready')) resolve();
    });
  });
}

/** Three servers as a cluster. `config` has the cluster's address and routes, with the ports of docs/fleet.md. */
export async function startNatsCluster(folder: string, config: string): Promise<readonly NatsServer[]> {
  const names = ['n1', 'n2', 'n3'];
  const routes = await Promise.all(names.map(() => freePort()));
  const urls = routes.map((port) => `"nats://127.0.0.1:${String(port)}"`).join(', ');
  return Promise.all(
    names.map((name, at) => {
      const own = config
        .replace('0.0.0.0:6222', `127.0.0.1:${String(routes[at])}`)
        .replace(/routes:.*/, `routes: [${urls}]`);
      return startNats({ folder, name, config: own });
    }),
  );
}

/**
 * An operator, an account with JetStream and a user, as `nsc` makes them: the part of a server's configuration, and the
 * content of a credentials file.
 */
export function makeCredentials(): { readonly config: string; readonly credentials: string } {
  const [operator, account, system, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const limits = { subs: -1, data: -1, payload: -1 };
  const accountLimits = { ...limits, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const jwts = {
    operator: jwt(operator, operator, { type: 'operator', version: 2, system_account: system.getPublicKey() }),
    account: jwt(operator, account, { type: 'account', version: 2, limits: { ...accountLimits, ...jetstream } }),
    system: jwt(operator, system, { type: 'account', version: 2, limits: accountLimits }),
    user: jwt(account, user, { type: 'user', version: 2, ...limits }),
  };
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    config: `operator: ${jwts.operator}
resolver: MEMORY
resolver_preload: { ${account.getPublicKey()}: ${jwts.account}, ${system.getPublicKey()}: ${jwts.system} }
`,
    credentials: `-----BEGIN NATS USER JWT-----
${jwts.user}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`,
  };
}

/** A token of NATS: JSON Web Token (RFC 7519) with the algorithm "ed25519-nkey". */
function jwt(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, nats: object): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iat: now, iss: issuer.getPublicKey(), sub: subject.getPublicKey(), name: 'test', nats };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const parts = [
    { typ: 'JWT', alg: 'ed25519-nkey' },
    { ...claims, jti },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString('base64url')}`;
}
