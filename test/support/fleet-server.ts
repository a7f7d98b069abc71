/** Servers of a fleet as processes: each runs `pharos serve` in its folder. Tests restart and query them by name. */
import { folderOf, NO_GEOGRAPHY } from './pharos.ts';
import { serve, type Served } from './process.ts';

export const FLEET_TOKEN = 'a-token-of-tests-0123456789';
/** Each node is in its own region. */
export const FLEET_REGIONS = { a: 'seoul', b: 'dublin', c: 'virginia' } as const;
export type FleetServerName = keyof typeof FLEET_REGIONS;
export const FLEET_SERVERS = Object.keys(FLEET_REGIONS) as FleetServerName[];

export type FleetServer = {
  readonly name: FleetServerName;
  /** Its folder. */
  readonly path: string;
  /** The running process; another one after `start`. */
  served(): Served;
  /** Starts it, again after it has ended; with its old state. */
  start(): Promise<void>;
  call(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly value: unknown }>;
  close(): Promise<void>;
};

/**
 * A server that has not been started. `zone`: the content of its zone file. `more`: lines of its pharos.yaml. `env`:
 * variables of its environment beside those of this process.
 */
export function fleetServer(
  name: FleetServerName,
  natsUrl: string,
  zone: string,
  more = '',
  env: Readonly<Record<string, string>> = {},
): FleetServer {
  const folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:0
workers: 1
geo: { databases: [small.mmdb] }
status: { listen: 127.0.0.1:0, token: ${FLEET_TOKEN} }
regions: { seoul: { at: KR }, dublin: { at: IE }, virginia: { at: US } }
fleet: { name: test, servers: ["${natsUrl}"], node: ${name}, region: ${FLEET_REGIONS[name]} }
${more}`,
    'zones/example.com.yaml': zone,
  });
  let running: Served | undefined;
  const served = (): Served => {
    if (running === undefined) throw new Error(`${name} does not run`);
    return running;
  };
  return {
    name,
    path: folder.path,
    served,
    start: async () => {
      running = await serve([], { cwd: folder.path, env });
    },
    call: async (method, path, body) => {
      const headers = { authorization: `Bearer ${FLEET_TOKEN}`, 'content-type': 'application/json' };
      const text = body === undefined ? {} : { body: JSON.stringify(body) };
      const reply = await fetch(`${served().api}${path}`, { method, headers, ...text });
      return { status: reply.status, value: await reply.json() };
    },
    close: async () => {
      running?.child.kill('SIGCONT');
      await running?.stop('SIGKILL');
      folder[Symbol.dispose]();
    },
  };
}
