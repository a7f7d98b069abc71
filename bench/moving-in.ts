/**
 * `node bench/moving-in.ts`: CPU time and peak memory of moving in a large gdnsd estate (estate.ts): the import, the
 * check of what it wrote, and a start until the first answer. Nothing is cached before.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.ts';
import { cpuTime, processTree, startServer } from '../test/support/server-process.ts';
import { WHOLE_ESTATE, writeEstate } from './estate.ts';

const COMMAND = fileURLToPath(new URL('../bin/pharos', import.meta.url));
const SEED = 19;
const POLL_MS = 50;

type Cost = { readonly cpuSeconds: number; readonly peakMb: number };

/** Peak resident memory of a process; 0 once it has ended. */
function peakMb(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** The shell that runs the command prints its CPU time and that of its children. */
async function costOf(args: readonly string[], cwd: string): Promise<Cost> {
  const env = { ...process.env, XDG_CACHE_HOME: join(cwd, 'cache') };
  const shell = ['-c', '"$@" >&2 || exit 1; times', 'sh', COMMAND, ...args];
  const child = spawn('sh', shell, { cwd, env, stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  let most = 0;
  const poll = setInterval(() => {
    for (const pid of processTree(child.pid)) most = Math.max(most, peakMb(pid));
  }, POLL_MS);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(poll);
  if (code !== 0) throw new Error(`pharos ${args.join(' ')} failed`);
  const children = [...(text.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  const cpuSeconds = children.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
  return { cpuSeconds, peakMb: most };
}

async function costOfStart(folder: string, port: number): Promise<Cost> {
  const file = join(folder, 'pharos.yaml');
  writeFileSync(file, `${readFileSync(file, 'utf8')}\nlisten: 127.0.0.1:${port}\nstatus: off\nhealth: { wait: 0s }\n`);
  const running = await startServer(COMMAND, ['serve', file], port, 'zone-0.example');
  const tree = processTree(running.pid);
  const { user, system } = cpuTime(tree);
  const most = Math.max(...tree.map(peakMb));
  await running.stop();
  return { cpuSeconds: user + system, peakMb: most };
}

function show(what: string, { cpuSeconds, peakMb: mb }: Cost): void {
  console.log(`  ${what.padEnd(32)} ${cpuSeconds.toFixed(1).padStart(5)} s of CPU   ${mb.toFixed(0).padStart(4)} MB`);
}

const folder = mkdtempSync(join(tmpdir(), 'pharos-moving-in-'));
try {
  writeEstate(join(folder, 'estate'), WHOLE_ESTATE, SEED);
  mkdirSync(join(folder, 'zones'));
  const { zones, records, steered, mapLines } = WHOLE_ESTATE;
  console.log(`gdnsd estate: ${zones} zones, ${records} records, ${steered} steered names, ${mapLines} lines of maps`);
  show('pharos import gdnsd', await costOf(['import', 'gdnsd', 'estate', '-o', 'zones'], folder));
  show('pharos check', await costOf(['check'], folder));
  show('pharos serve, until it answers', await costOfStart(folder, await freePort()));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
