import { execFile } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { once } from 'node:events';
import { bundledDatabasePath } from '../geo/geography.ts';
import { CASES } from './cases.ts';
import { portOf } from './check-answers.ts';
import { writeGeoip2 } from './geoip2.ts';
import { writePackets } from './packets.ts';
import { gdnsd } from './peers/gdnsd.ts';
import { echo } from './peers/echo.ts';
import { writePharosConfiguration } from './peers/pharos.ts';
import { cpuTime, findProgram, freePort, processTree, startServer } from './process.ts';
const modes = (process.argv[2] ?? 'rr,fair,none,batch').split(',');
const caseName = process.argv[3] ?? 'geo';
const rounds = Number(process.argv[4] ?? 3);
const folder = mkdtempSync(join(tmpdir(), 'modes-'));
const health = createServer((s) => s.on('error', () => undefined).resume()).listen(0, '0.0.0.0');
await once(health, 'listening');
const files = { geoip2: join(folder, 'g.mmdb'), healthPort: (health.address() as any).port, tls: { cert: '', key: '' } };
writeGeoip2(bundledDatabasePath(), files.geoip2);
const each = CASES.find(({ name }) => name === caseName)!;
const packets = join(folder, 'packets');
const qs = each.questions().map(({ packet }) => packet);
writePackets(packets, qs.length < 20000 ? Array.from({ length: Math.ceil(20000 / qs.length) }, () => qs).flat() : qs);
const entrants: any[] = [];
for (const mode of modes) {
  const own = join(folder, mode); mkdirSync(own);
  if (mode === 'gdnsd') { const r = await gdnsd.start(own, each.served, files); entrants.push({ mode, r }); continue; }
  if (mode === 'echo') { const r = await echo.start(own, each.served, files); entrants.push({ mode, r }); continue; }
  const port = await freePort();
  const file = writePharosConfiguration(own, port, files.healthPort, each.served);
  const main = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
  const r = await startServer(process.execPath, [main, 'serve', file], port, each.served.map((z: any) => z.name), { ...process.env, PHAROS_PROTO: mode });
  entrants.push({ mode, r });
}
for (const e of entrants) e.pids = processTree(e.r.pid);
const csw = (pids: number[]) => { let v = 0; for (const p of pids) try { for (const t of (await0(p))) v += t; } catch {} return v; };
function await0(p: number): number[] { const out: number[] = []; const { readdirSync } = require0; for (const t of readdirSync(`/proc/${p}/task`)) { const s = readFileSync(`/proc/${p}/task/${t}/status`, 'utf8'); out.push(Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(s)![1]) + Number(/^nonvoluntary_ctxt_switches:\s+(\d+)/m.exec(s)![1])); } return out; }
import * as require0 from 'node:fs';
const med = (a: number[]) => [...a].sort((x, y) => x - y)[Math.floor(a.length / 2)]!;
for (const [c, q] of [[1, 200], [4, 200], [100, 200], [100, 1000]] as const) {
  const res = new Map<string, number[][]>(entrants.map((e) => [e.mode, []]));
  for (let i = 0; i <= rounds; i++) for (const e of entrants) {
    const b = cpuTime(e.pids), cs = csw(e.pids);
    const { stdout } = await promisify(execFile)(findProgram('dnsperf')!, ['-m', 'udp', '-s', '127.0.0.1', '-p', String(portOf(e.r, 'udp')), '-d', packets, '-B', '-l', '1', '-c', String(c), '-T', '1', '-q', String(q), '-t', '1']);
    const a = cpuTime(e.pids), ce = csw(e.pids);
    const n = Number(/Queries completed:\s+(\d+)/.exec(stdout)![1]), qps = Number(/Queries per second:\s+([\d.]+)/.exec(stdout)![1]);
    if (i > 0) res.get(e.mode)!.push([qps, ((a.user - b.user) / n) * 1e6, ((a.system - b.system) / n) * 1e6, (ce - cs) / n]);
  }
  console.log(`--- ${c} x ${q} (${caseName})`);
  for (const [m, r] of res) console.log(m.padEnd(8), Math.round(med(r.map((x) => x[0]!))), 'q/s', med(r.map((x) => x[1]! + x[2]!)).toFixed(2), 'us', 'user', med(r.map((x) => x[1]!)).toFixed(2), 'switches/q', med(r.map((x) => x[3]!)).toFixed(3));
}
for (const e of entrants) await e.r.stop();
health.close();
process.exit(0);
