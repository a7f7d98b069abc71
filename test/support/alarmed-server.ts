/**
 * A running server with two VIPs of www.example.com, for tests of its alarms in status, metrics, page and log.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Alarm } from '../../config/alarms.ts';
import type { EventDocument } from '../../status/events.ts';
import type { StatusDocument } from '../../status/status-document.ts';
import { folderOf, NO_GEOGRAPHY, type Files } from './pharos.ts';
import { eventually, serve, type Served } from './process.ts';

export type AlarmedServer = {
  readonly server: Served;
  readonly stateDir: string;
  readonly api: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** Resolves with the alarm as soon as it is raised. */
  readonly alarm: (code: string) => Promise<Alarm>;
  /** Resolves as soon as it is over. */
  readonly over: (code: string) => Promise<void>;
  /** Lines of the log about this alarm, by level, as `error: message`. */
  readonly logged: (code: string) => readonly string[];
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type AlarmedOptions = {
  /** The check of the VIPs `a` and `b`, both at 127.0.0.1; none without it. */
  readonly check?: string;
  /** More keys of the service. */
  readonly service?: string;
  /** Below the working directory; `state/` is its `state_dir`. */
  readonly files?: Files;
  /** Called with the folder before the server starts. */
  readonly prepare?: (stateDir: string) => void;
};

const LEVELS: Readonly<Record<number, string>> = { 30: 'info', 40: 'warn', 50: 'error' };

export async function serveAlarmed(options: AlarmedOptions = {}): Promise<AlarmedServer> {
  const { check, service = '', files = {}, prepare } = options;
  const folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml':
      'listen: 127.0.0.1:0\nworkers: 1\nstate_dir: state\ngeo: { databases: [small.mmdb] }\nstatus: { listen: 127.0.0.1:0, token: a-token-of-tests }\n',
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns]
records: { ns: { A: 192.0.2.53 } }
${check === undefined ? '' : `checks: { web: ${check} }`}
services:
  www:
${check === undefined ? '' : '    check: web\n'}${service}    vips: { a: { A: 127.0.0.1 }, b: { A: 127.0.0.2 } }
`,
    ...files,
  });
  const stateDir = join(folder.path, 'state');
  mkdirSync(stateDir, { recursive: true });
  prepare?.(stateDir);
  const server = await serve([], { cwd: folder.path });
  const api = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const headers = { authorization: 'Bearer a-token-of-tests', 'content-type': 'application/json' };
    const reply = await fetch(`${server.api}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await reply.json();
  };
  const find = async (code: string): Promise<Alarm | undefined> =>
    ((await api('GET', '/api/v1/status')) as StatusDocument).alarms.find((alarm) => alarm.code === code);
  return {
    server,
    stateDir,
    api,
    alarm: async (code) => {
      let found: Alarm | undefined;
      await eventually(
        async () => (found = await find(code)),
        (alarm) => alarm !== undefined,
      );
      if (found === undefined) throw new Error(`the alarm ${code} is not up`);
      return found;
    },
    over: async (code) => {
      await eventually(
        () => find(code),
        (alarm) => alarm === undefined,
      );
    },
    logged: (code) =>
      server
        .stdout()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { level: number | string; msg: string; alarm?: string })
        .filter(({ msg, alarm }) => alarm === code || msg.includes(code))
        .map(({ level, msg }) => `${typeof level === 'number' ? (LEVELS[level] ?? level) : level}: ${msg}`),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      folder[Symbol.dispose]();
    },
  };
}

/** Alarms among the events of the API, as `raised service_down`. */
export async function alarmEvents({ api }: AlarmedServer): Promise<readonly string[]> {
  const events = (await api('GET', '/api/v1/events')) as readonly EventDocument[];
  return events.filter(({ kind }) => kind === 'alarm').map(({ to, alarm }) => `${to} ${alarm}`);
}
