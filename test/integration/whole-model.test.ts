/**
 * A model of the whole process: random reloads, mistakes in files, orders, reports, updates, key rolls, restarts, kills
 * and takeovers, while queries are asked all the time. Until an operation is answered, an answer may be that of before
 * or after; from then on it must be that of after. The same without a process, for a million steps: test/unit/model.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dnssecRoll } from '../../cli/dnssec-roll.ts';
import { whyNoLibc } from '../../config/libc.ts';
import { makeKey, readKeys, setTimes } from '../../dnssec/key-files.ts';
import { formatAddress } from '../../wire/address.ts';
import { parseName } from '../../wire/name.ts';
import { freePort } from '../support/free-port.ts';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { serve, start, type Served } from '../support/process.ts';
import { createDice, printedSeed, trials, type Dice } from '../support/random.ts';
import { ask, change, keyNamed, sendUpdate, UPDATE_SECRET } from '../support/update-client.ts';
import { captureOutput } from '../unit/cli/captured-output.ts';
import { readRefKeys, refRoles, wrongSignatures, type RefRoles } from '../unit/model/keys-reference.ts';

const STEPS = trials(26);
const KEY = keyNamed('k');
const TOKEN = 'a-token-of-24-characters';
const VIPS = ['a', 'b', 'c'] as const;
type Vip = (typeof VIPS)[number];
const ADDRESS: Readonly<Record<Vip, string>> = { a: '203.0.113.1', b: '203.0.113.2', c: '203.0.113.3' };
const TEXTS = ['t0', 't1', 't2', 'd0', 'd1', 'd2'] as const;

/** What the server was told, and what it must keep. */
type Told = {
  /** Of the files (`t`) and of updates (`d`); absent: the name has no records. */
  readonly texts: Readonly<Record<string, string | undefined>>;
  readonly order: readonly Vip[];
  readonly orders: Readonly<Partial<Record<Vip, 'up' | 'down' | 'drain'>>>;
  /** VIPs reported unhealthy. */
  readonly ill: readonly Vip[];
  /** What the keys of the signed zone do. */
  readonly roles: RefRoles;
};

/** docs/steering.md#candidates, for one failover step and `when_all_down: serve_all`. */
function chosen({ order, orders, ill }: Told): Vip {
  const isOut = (vip: Vip): boolean => orders[vip] === 'down' || orders[vip] === 'drain';
  const available = order.find((vip) => !isOut(vip) && (orders[vip] === 'up' || !ill.includes(vip)));
  return available ?? order.find((vip) => !isOut(vip)) ?? (order[0] as Vip);
}

type PlainQuestion = 'www' | (typeof TEXTS)[number];
/** Of the signed zone: its keys, and a record. */
const SIGNED = ['sx', 'r.sx'] as const;
type Question = PlainQuestion | (typeof SIGNED)[number];
const DNSKEY = 48;

function expectedFor(question: PlainQuestion, told: Told): string {
  return question === 'www' ? ADDRESS[chosen(told)] : (told.texts[question] ?? 'NXDOMAIN');
}

function zoneOf({ texts, order }: Pick<Told, 'texts' | 'order'>): string {
  const records = Object.entries(texts).filter(([name]) => name.startsWith('t'));
  return [
    'zone: ex',
    'nameservers: [ns.out.example.]',
    `records: { ${records.map(([name, text]) => `${name}: { TXT: "${text}" }`).join(', ')} }`,
    'checks: { told: { type: push, expires: 1d } }',
    'services:',
    '  www:',
    '    ttl: 5',
    '    check: told',
    `    vips: { ${VIPS.map((vip) => `${vip}: { A: ${ADDRESS[vip]} }`).join(', ')} }`,
    `    steer: [{ failover: [${order.join(', ')}] }]`,
    '',
  ].join('\n');
}

const configurationOf = (dns: number, http: number): string => `listen: 127.0.0.1:${dns}
status: { listen: 127.0.0.1:${http}, token: ${TOKEN} }
geo: { databases: [small.mmdb] }
transfer: { keys: { k: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }
updates: [{ key: k, names: ["*"], types: [TXT] }]
`;

type Run = { readonly folder: string; server: Served; told: Told; serial: number };
type Operation = {
  readonly name: string;
  readonly after: Told;
  /** Whether queries may go unanswered meanwhile. */
  readonly pauses: boolean;
  readonly carryOut: () => Promise<void>;
};

async function call({ server }: Run, method: string, path: string, body?: unknown): Promise<number> {
  const response = await fetch(`${server.api}/api/v1/${path}`, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  await response.arrayBuffer();
  return response.status;
}

function randomOperation(dice: Dice, run: Run): Operation {
  const { told, folder } = run;
  const kind = dice.pick(['reload', 'reload', 'mistake', 'order', 'order', 'order', 'report', 'report', 'report', 'update', 'update', 'update', 'roll', 'retire', 'restart', 'kill', 'takeover'] as const); // prettier-ignore
  const vip = dice.pick(VIPS);
  switch (kind) {
    case 'reload': {
      const texts = { ...told.texts, [dice.pick(['t0', 't1', 't2'])]: dice.chance(0.8) ? `${dice.below(1000)}` : undefined }; // prettier-ignore
      const kept = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined));
      const after = { ...told, texts: kept, order: dice.sample(VIPS, VIPS.length) };
      const carryOut = async (): Promise<void> => {
        writeFileSync(join(folder, 'zones/ex.yaml'), zoneOf(after));
        expect(await call(run, 'POST', 'reload')).toBe(200);
      };
      return { name: `reload ${JSON.stringify(kept)} ${after.order.join()}`, after, pauses: false, carryOut };
    }
    case 'mistake': {
      const carryOut = async (): Promise<void> => {
        writeFileSync(join(folder, 'zones/ex.yaml'), `${zoneOf(told)}\nrecord: { x: { A: 192.0.2.1 } }\n`);
        expect(await call(run, 'POST', 'reload')).toBe(422);
        writeFileSync(join(folder, 'zones/ex.yaml'), zoneOf(told));
      };
      return { name: kind, after: told, pauses: false, carryOut };
    }
    case 'order': {
      const state = dice.pick(['up', 'down', 'drain', undefined, undefined] as const);
      const others = Object.fromEntries(Object.entries(told.orders).filter(([each]) => each !== vip));
      const after = { ...told, orders: state ? { ...others, [vip]: state } : others };
      const path = `overrides/${encodeURIComponent(`www.ex/${vip}`)}`;
      const carryOut = async (): Promise<void> => {
        expect(await call(run, state ? 'PUT' : 'DELETE', path, state && { state })).toBe(200);
      };
      return { name: `${state ?? 'auto'} ${vip}`, after, pauses: false, carryOut };
    }
    case 'report': {
      const isIll = dice.chance(0.5);
      const after = { ...told, ill: [...told.ill.filter((each) => each !== vip), ...(isIll ? [vip] : [])] };
      const carryOut = async (): Promise<void> => {
        await report(run, vip, !isIll);
      };
      return { name: `${vip} is ${isIll ? 'ill' : 'well'}`, after, pauses: false, carryOut };
    }
    case 'update': {
      const name = dice.pick(['d0', 'd1', 'd2']);
      const text = dice.chance(0.7) ? `${dice.below(1000)}` : undefined;
      const after = { ...told, texts: { ...told.texts, [name]: text } };
      const updates = [change('ex', `${name} ANY TXT`), ...(text ? [change('ex', `${name} IN TXT "${text}"`)] : [])];
      const carryOut = async (): Promise<void> => {
        expect(await sendUpdate(run.server.port, { zone: 'ex', updates }, KEY)).toBe(0);
      };
      return { name: `update ${name} ${text ?? 'away'}`, after, pauses: false, carryOut };
    }
    case 'roll':
    case 'retire': {
      // The server reads the files when it is told to reload.
      if (kind === 'roll')
        dnssecRoll({ zone: 'sx', config: join(folder, 'pharos.yaml'), json: false, zsk: false, algorithm: undefined }, captureOutput().output); // prettier-ignore
      else retireOldKey(keysIn(folder));
      const after = { ...told, roles: rolesIn(folder) };
      const carryOut = async (): Promise<void> => {
        expect(await call(run, 'POST', 'reload')).toBe(200);
      };
      return { name: `${kind}: ${after.roles.published.map(({ tag }) => tag).join()}`, after, pauses: false, carryOut };
    }
    case 'restart':
    case 'kill': {
      const carryOut = async (): Promise<void> => {
        await run.server.stop(kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
        run.server = await serve([], { cwd: folder });
        // A report is not promised to survive a kill: whoever reports does so again.
        if (kind === 'kill') for (const each of VIPS) await report(run, each, !told.ill.includes(each));
      };
      return { name: kind, after: told, pauses: true, carryOut };
    }
    case 'takeover': {
      const carryOut = async (): Promise<void> => {
        const old = run.server;
        const next = start(['serve', '--takeover'], { cwd: folder });
        await next.until(/the previous server has stopped/);
        const { code, stdout, stderr } = await old.finished;
        expect(code, `${stdout.slice(-4000)}${stderr}`).toBe(0);
        run.server = { ...next, port: old.port, api: old.api };
      };
      return { name: kind, after: told, pauses: false, carryOut };
    }
  }
}

const keysIn = (folder: string): string => join(folder, 'state/keys');

function rolesIn(folder: string): RefRoles {
  return refRoles(readRefKeys(keysIn(folder)), Math.floor(Date.now() / 1000));
}

/** The older of two keys leaves at once, which is too early for resolvers but not for the server. */
function retireOldKey(folder: string): void {
  const staying = readKeys(folder, parseName('sx.')).keys.filter(({ times }) => times.delete === undefined);
  const [old, next] = staying.toSorted((a, b) => Number(b.times.syncDelete !== undefined) - Number(a.times.syncDelete !== undefined)); // prettier-ignore
  const now = Math.floor(Date.now() / 1000);
  if (old && next) setTimes(old, { inactive: now, delete: now });
}

async function report(run: Run, vip: Vip, healthy: boolean): Promise<void> {
  expect(await call(run, 'PUT', `push/${encodeURIComponent(`www.ex/${vip}`)}`, { healthy })).toBe(200);
}

/** What is wrong with the keys or signatures of an answer; '' if nothing is, undefined without an answer. */
async function wrongKeys(
  port: number,
  question: Question,
  allowed: readonly Told[],
  ms?: number,
): Promise<string | undefined> {
  // prettier-ignore
  const type = question === 'sx' ? DNSKEY : T.TXT;
  const response = await ask(port, encodeQuery(question, type, { edns: { dnssecOk: true } }), 'udp', undefined, ms);
  if (!response) return undefined;
  const message = decodeMessage(response);
  const wrong = allowed.map(({ roles }) => {
    const keys = message.answer.flatMap((record) => (record.type === DNSKEY ? record.data : [])).sort().join(); // prettier-ignore
    const published = question === 'sx' ? roles.published.map(({ data }) => data).sort().join() : ''; // prettier-ignore
    if (keys !== published) return `the keys ${published} expected, got ${keys}`;
    if (!message.answer.some((record) => record.type === type)) return `no answer, RCODE ${message.rcode}`;
    return wrongSignatures(message, { roles, seconds: Math.floor(Date.now() / 1000), verified: new Set() }) ?? '';
  });
  return wrong.includes('') ? '' : wrong.join(', or: ');
}

/** The answer as text; undefined without one. */
async function answerTo(port: number, question: PlainQuestion, ms?: number): Promise<string | undefined> {
  const response = await ask(
    port,
    encodeQuery(`${question}.ex`, question === 'www' ? T.A : T.TXT),
    'udp',
    undefined,
    ms,
  );
  if (!response) return undefined;
  const { rcode, answer } = decodeMessage(response);
  if (rcode === 3) return 'NXDOMAIN';
  const [data = ''] = answer.map((record) => record.data);
  return question === 'www' ? formatAddress(Buffer.from(data, 'hex')) : Buffer.from(data, 'hex').subarray(1).toString();
}

async function serialAt(port: number): Promise<number> {
  const response = await ask(port, encodeQuery('ex', T.SOA), 'udp');
  const data = Buffer.from(response ? (decodeMessage(response).answer[0]?.data ?? '') : '', 'hex');
  return data.readUInt32BE(data.length - 20);
}

test.skipIf(whyNoLibc() !== undefined)(
  'whatever happens to a server, each answer is one that it may give at that moment',
  async () => {
    // prettier-ignore
    const dice = createDice(printedSeed('a model of the process'));
    const texts = { t0: '0', t1: '1', t2: '2' };
    const first = { texts, order: VIPS, orders: {}, ill: [] };
    using folder = folderOf({
      ...NO_GEOGRAPHY,
      'pharos.yaml': configurationOf(await freePort(), await freePort()),
      'zones/ex.yaml': zoneOf(first),
      'zones/sx.yaml': 'zone: sx\ndnssec: true\nnameservers: [ns.out.example.]\nrecords: { r: { TXT: signed } }\n',
    });
    makeKey(keysIn(folder.path), parseName('sx.'), Math.floor(Date.now() / 1000));
    const told: Told = { ...first, roles: rolesIn(folder.path) };
    const run: Run = { folder: folder.path, server: await serve([], { cwd: folder.path }), told, serial: 0 };
    const history: string[] = [];
    const questions: readonly Question[] = ['www', 'www', 'www', ...TEXTS, ...SIGNED];
    const check = async (question: Question, allowed: readonly Told[], mayFail: boolean): Promise<void> => {
      // What a server that stops has not answered is lost, and needs no patience.
      const ms = mayFail ? 200 : undefined;
      if (question === 'sx' || question === 'r.sx') {
        const why = await wrongKeys(run.server.port, question, allowed, ms);
        if (why === undefined ? !mayFail : why !== '') expect.fail(`${question}: ${why}\n${history.join('\n')}`);
        return;
      }
      const got = await answerTo(run.server.port, question, ms);
      if (got === undefined && mayFail) return;
      const expected = [...new Set(allowed.map((each) => expectedFor(question, each)))];
      if (got === undefined || !expected.includes(got)) expect.fail(`${question}: ${expected.join(' or ')} expected, got ${got}\n${history.join('\n')}`); // prettier-ignore
    };
    try {
      for (let step = 0; step < STEPS; step++) {
        const operation = randomOperation(dice, run);
        history.push(operation.name);
        const state = { isOver: false };
        const working = operation.carryOut().finally(() => (state.isOver = true));
        working.catch(() => undefined);
        // After a kill, a VIP is as it was reported last or as it was saved before.
        const allowed =
          operation.name === 'kill' ? VIPS.map((vip): Told => ({ ...run.told, order: [vip] })) : [run.told];
        while (!state.isOver) await check(dice.pick(questions), [...allowed, operation.after], operation.pauses);
        await working;
        run.told = operation.after;
        for (const question of new Set(questions)) await check(question, [run.told], false);
        const serial = await serialAt(run.server.port);
        expect(serial, history.join('\n')).toBeGreaterThanOrEqual(run.serial);
        run.serial = serial;
      }
    } finally {
      await run.server.stop('SIGKILL');
    }
  },
);
