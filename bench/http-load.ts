/**
 * `node bench/http-load.ts PORT RATE SECONDS`: what dashboards, scrapers and people ask of the status server, at a
 * fixed pace. Prints how many requests were answered with 200, and how many were not.
 */
import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const PATHS = ['/api/v1/status', '/metrics', '/', '/api/v1/health', '/readyz'] as const;

const [port = 0, rate = 0, seconds = 0] = process.argv.slice(2).map(Number);
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
const startMs = performance.now();
const running: Promise<boolean>[] = [];
for (let sent = 0; sent < rate * seconds; sent++) {
  await delay(Math.max(0, startMs + (sent * 1000) / rate - performance.now()));
  running.push(ask(PATHS[sent % PATHS.length] ?? '/'));
}
const good = (await Promise.all(running)).filter(Boolean).length;
console.log(`${good} ${running.length - good}`);
agent.destroy();

async function ask(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path, agent }, (response) => {
      response.resume();
      response.once('end', () => {
        resolve(response.statusCode === 200);
      });
    }).once('error', () => {
      resolve(false);
    });
  });
}
