/**
 * Requests of dashboards, scrapers and people to the status server.
 *
 *     node bench/http-load.ts PORT RATE SECONDS   at a fixed rate; prints how many replies had status 200, and how many
 *                                                 had another one
 *     node bench/http-load.ts flood PORT N SECONDS  N connections, each with a request at all times; prints the replies
 *     node bench/http-load.ts cost PORT PID       one after the other; prints the CPU time per request by path, of the
 *                                                 control thread of the server with this process number
 */
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const PATHS = ['/api/v1/status', '/metrics', '/', '/api/v1/health', '/readyz'] as const;
/** Requests per measurement of a cost; /proc counts in hundredths of a second. */
const REQUESTS = 2000;
const MS_PER_TICK = 10;

const agent = new Agent({ keepAlive: true, maxSockets: 32 });
const [first = '', ...others] = process.argv.slice(2);
if (first === 'flood') await flood(Number(others[0]), Number(others[1]), Number(others[2]));
else if (first === 'cost') await cost(Number(others[0]), Number(others[1]));
else await load(Number(first), Number(others[0]), Number(others[1]));
agent.destroy();

async function load(port: number, rate: number, seconds: number): Promise<void> {
  const startMs = performance.now();
  const running: Promise<boolean>[] = [];
  for (let sent = 0; sent < rate * seconds; sent++) {
    await delay(Math.max(0, startMs + (sent * 1000) / rate - performance.now()));
    running.push(ask(port, PATHS[sent % PATHS.length] ?? '/'));
  }
  const good = (await Promise.all(running)).filter(Boolean).length;
  console.log(`${good} ${running.length - good}`);
}

async function flood(port: number, connections: number, seconds: number): Promise<void> {
  const crowd = new Agent({ keepAlive: true, maxSockets: connections });
  const endMs = performance.now() + seconds * 1000;
  let replies = 0;
  const client = async (first: number): Promise<void> => {
    for (let at = first; performance.now() < endMs; at++) {
      if (await ask(port, PATHS[at % PATHS.length] ?? '/', crowd)) replies++;
      // A refused connection must not keep this process busy.
      else await delay(10);
    }
  };
  const clients = Array.from({ length: connections }, (_, at) => client(at));
  await Promise.race([Promise.all(clients), delay(seconds * 1000)]);
  console.log(replies);
  // What has no reply yet is given up.
  process.exit();
}

async function cost(port: number, pid: number): Promise<void> {
  for (const path of PATHS) {
    // Warms up, until the code is compiled.
    for (let sent = 0; sent < REQUESTS / 10; sent++) await ask(port, path);
    const before = controlTicks(pid);
    for (let sent = 0; sent < REQUESTS; sent++) await ask(port, path);
    const ms = ((controlTicks(pid) - before) * MS_PER_TICK) / REQUESTS;
    console.log(`${path.padEnd(16)} ${ms.toFixed(2)} ms`);
  }
}

/** User and system time of the process's first thread (proc(5)), which has the process's number. */
function controlTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

async function ask(port: number, path: string, through = agent): Promise<boolean> {
  return await new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path, agent: through }, (response) => {
      response.resume();
      response.once('end', () => {
        resolve(response.statusCode === 200);
      });
    }).once('error', () => {
      resolve(false);
    });
  });
}
