/**
 * The status server of a running server. It listens at the address of the start, except while another server takes
 * over.
 */
import type { Logger } from 'pino';
import { libc } from '../../config/libc.ts';
import type { Settings } from '../../config/settings.ts';
import { socketsAt, type OpenSocket } from '../../server/threads/takeover.ts';
import type { AuditedRequest } from '../../status/audit.ts';
import { startStatusServer, type StatusServer, type StatusTls } from '../../status/http.ts';
import type { Runtime } from '../../status/runtime.ts';
import type { Endpoint } from '../../wire/address.ts';

export type StatusListener = {
  /** Does nothing without a status server. Uses an `inherited` socket at its address. */
  readonly open: (inherited: readonly OpenSocket[]) => Promise<void>;
  /** Applies tokens and certificates of the generation in force. */
  readonly update: () => void;
  readonly endpoint: () => Endpoint | undefined;
  /** At most one. */
  readonly sockets: () => readonly OpenSocket[];
  /** Answers all requests that were sent, and keeps the socket for `resume`. */
  readonly release: () => Promise<void>;
  readonly resume: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** At a takeover, requests that were sent before this server stopped listening arrive within this time. */
const LINGER_MS = 200;

/** `settings` are those in force: `update` applies them. Address and port are those of the start. */
export function createStatusListener(
  settings: () => Settings['status'],
  runtime: Runtime,
  log: Logger,
  audit: (request: AuditedRequest) => void,
): StatusListener {
  const address = settings()?.listen;
  let server: StatusServer | undefined;
  /** Its address and socket while another server takes over. */
  let before: OpenSocket | undefined;

  const listen = async (endpoint: Endpoint, inherited: number | undefined): Promise<void> => {
    const now = settings();
    if (now)
      server = await startStatusServer(runtime, { ...now, tls: pemOf(now), listen: endpoint, inherited, log, audit });
  };
  return {
    open: async (inherited) => {
      if (address) await listen(address, socketsAt(inherited, address)[0]?.fd);
    },
    update: () => {
      const now = settings();
      if (now) server?.update(now, pemOf(now));
    },
    endpoint: () => server?.endpoint,
    sockets: () => (server?.descriptor === undefined ? [] : [{ endpoint: server.endpoint, fd: server.descriptor }]),
    release: async () => {
      // A second descriptor: the server closes its own.
      if (server?.descriptor !== undefined) before = { endpoint: server.endpoint, fd: libc().dup(server.descriptor) };
      await server?.close(LINGER_MS);
      server = undefined;
    },
    resume: async () => {
      if (address) await listen(before?.endpoint ?? address, before?.fd);
      before = undefined;
    },
    close: async () => {
      await server?.close();
    },
  };
}

function pemOf({ tls }: NonNullable<Settings['status']>): StatusTls | undefined {
  return tls && { cert: tls.keyPair.cert, key: tls.keyPair.key, clientCa: tls.clientCa };
}
