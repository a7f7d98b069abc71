/**
 * `node bench/updates.ts`: the time of dynamic updates (RFC 2136) beside many records. Each update adds one TXT record
 * or removes it, is signed with TSIG, and is sent over TCP. First one update at a time, then many in flight.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.ts';
import { wireName } from '../test/support/message.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { cpuTime, processTree, startServer } from '../test/support/server-process.ts';
import { put16 } from '../wire/octets.ts';
import { createSigner, tsigOctets, type TsigKey } from '../wire/tsig.ts';
import { CLASS, OPCODE, TYPE } from '../wire/types.ts';
import { createHistogram, quantile, record } from './histogram.ts';

const HELP = `node bench/updates.ts [--command PATH] [--records N] [--single N] [--many N] [--in-flight N]
  --command    the pharos to measure; bin/pharos of this checkout by default
  --records    records of the zone before the first update (10000)
  --single     updates that are sent one after the other (200)
  --many       updates that are sent with others in flight (4000)
  --in-flight  updates in flight (200)
`;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ZONE = 'example.com';
const SECRET = Buffer.from('a secret of the benchmark, with 32 octets or more');
const KEY: TsigKey = { name: wireName('bench.'), label: 'bench', algorithm: 'hmac-sha256', secret: SECRET };

const values = scriptOptions(HELP, {
  command: { type: 'string', default: join(ROOT, 'bin/pharos') },
  records: { type: 'number', default: 10_000 },
  single: { type: 'number', default: 200 },
  many: { type: 'number', default: 4000 },
  'in-flight': { type: 'number', default: 200 },
});

function writeConfiguration(folder: string, port: number, records: number): void {
  mkdirSync(join(folder, 'zones'));
  const lines = Array.from({ length: records }, (_, at) => `n${at} A 192.0.2.${at % 256}\n`);
  writeFileSync(join(folder, 'zones/bulk.db'), lines.join(''));
  const zone = `zone: ${ZONE}\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.1 } }\ninclude: [bulk.db]\n`;
  writeFileSync(join(folder, 'zones', `${ZONE}.yaml`), zone);
  const key = `{ algorithm: hmac-sha256, secret: ${SECRET.toString('base64')} }`;
  const text = `listen: ["127.0.0.1:${port}"]\nstatus: off\ntransfer: { keys: { bench: ${key} } }\nupdates: [{ key: bench }]\n`;
  writeFileSync(join(folder, 'pharos.yaml'), text, { mode: 0o600 });
}

/** A signed update that replaces the TXT record of a name. */
function updateOf(id: number, name: string, text: string): Uint8Array {
  const head = Buffer.alloc(12);
  put16(head, 0, id);
  head[2] = OPCODE.UPDATE << 3;
  put16(head, 4, 1);
  put16(head, 8, 2);
  const fields = (...numbers: number[]): Buffer => Buffer.from(numbers.flatMap((each) => [each >> 8, each & 255]));
  const owner = wireName(`${name}.${ZONE}.`);
  const parts = [head, wireName(`${ZONE}.`), fields(TYPE.SOA, CLASS.IN)];
  parts.push(owner, fields(TYPE.TXT, CLASS.ANY, 0, 0, 0));
  parts.push(owner, fields(TYPE.TXT, CLASS.IN, 0, 60, text.length + 1), Buffer.from([text.length]), Buffer.from(text));
  const length = parts.reduce((sum, { length }) => sum + length, 0);
  const message = new Uint8Array(2 + length + tsigOctets(KEY));
  message.set(Buffer.concat(parts), 2);
  const octets = createSigner(KEY, () => Math.floor(Date.now() / 1000)).sign(message.subarray(2), length);
  put16(message, 0, octets);
  return message.subarray(0, 2 + octets);
}

/** Sends `count` updates with at most `window` of them in flight. Returns the seconds that they took. */
async function send(socket: Socket, count: number, window: number, took: (ms: number) => void): Promise<number> {
  const sentAt = new Map<number, number>();
  const startedAt = performance.now();
  let [next, answered, pending] = [0, 0, Buffer.alloc(0)];
  const sendNext = (): void => {
    if (next === count) return;
    const id = next & 0xffff;
    sentAt.set(id, performance.now());
    socket.write(updateOf(id, `_acme-challenge.host${next % 500}`, `token ${next}`));
    next++;
  };
  const done = Promise.withResolvers<undefined>();
  const hear = (octets: Buffer): void => {
    pending = Buffer.concat([pending, octets]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const message = pending.subarray(2, 2 + pending.readUInt16BE(0));
      pending = pending.subarray(2 + message.length);
      const rcode = (message[3] ?? 0) & 15;
      if (rcode !== 0) done.reject(new Error(`the server refused an update: RCODE ${rcode}`));
      took(performance.now() - (sentAt.get(message.readUInt16BE(0)) ?? 0));
      answered++;
      sendNext();
    }
    if (answered === count) done.resolve(undefined);
  };
  socket.on('data', hear);
  for (let first = 0; first < window; first++) sendNext();
  await done.promise;
  socket.off('data', hear);
  return (performance.now() - startedAt) / 1000;
}

async function measure(folder: string): Promise<void> {
  const port = await freePort();
  writeConfiguration(folder, port, values.records);
  const running = await startServer(values.command, ['serve', join(folder, 'pharos.yaml')], port, ZONE);
  const cpu = (): number => {
    const { user, system } = cpuTime(processTree(running.pid));
    return user + system;
  };
  const socket = connect(port, '127.0.0.1').setNoDelay();
  await once(socket, 'connect');
  await send(socket, 20, 1, () => undefined);
  console.log(`${values.records} records, load ${(loadavg()[0] ?? 0).toFixed(1)}`);
  for (const [count, window] of [
    [values.single, 1],
    [values.many, values['in-flight']],
  ] as const) {
    const times = createHistogram();
    const before = cpu();
    const seconds = await send(socket, count, window, (ms) => { record(times, ms * 1000); }); // prettier-ignore
    const used = ((cpu() - before) * 1000) / count;
    const at = (share: number): string => (quantile(times, share) / 1000).toFixed(1);
    console.log(
      `  ${String(window).padStart(3)} in flight: median ${at(0.5)} ms, 99 % within ${at(0.99)} ms, ` +
        `${(count / seconds).toFixed(0)} updates/s, ${used.toFixed(2)} ms of CPU each`,
    );
  }
  socket.destroy();
  await running.stop();
}

const folder = mkdtempSync(join(tmpdir(), 'pharos-updates-'));
try {
  await measure(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
