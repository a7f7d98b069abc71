/**
 * Faults of the machine against a real server: single system calls that fail, a full disk, and a pause of the process.
 * `npm run faults` tries every call in every phase, threads of Node.js itself at a start among them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAULTS } from '../faults/faults-library.ts';
import { pauseServer } from '../faults/pause.ts';
import { runFaults, type FaultTrial } from '../faults/run-faults.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, has, serve, type Served } from '../support/process.ts';
import { createDice, deepTrials, printedSeed } from '../support/random.ts';
import { processTree } from '../support/server-process.ts';
import { change, keyNamed, sendUpdate, UPDATE_SECRET } from '../support/update-client.ts';

const TOKEN = 'a-token-of-the-faults-1c4e';

test.skipIf(!has('cc'))('a system call fails once: promises hold', async () => {
  const dice = createDice(printedSeed('faults'));
  const some = (phases: readonly FaultTrial['phase'][], count: number): FaultTrial[] =>
    Array.from({ length: count }, () => ({
      phase: dice.pick(phases),
      fault: { ...dice.pick(FAULTS), before: dice.below(3) },
    })).filter(({ phase, fault }) => phase !== 'start' || fault.call !== 'thread');
  const outcomes = await runFaults(
    [...some(['reload', 'update', 'drain'], deepTrials(20, 40)), ...some(['start', 'stop'], deepTrials(4, 8))],
    () => undefined,
  );
  expect(outcomes.filter(({ problem }) => problem !== undefined)).toEqual([]);
});

const files = (port: number, statusPort: number, probe: number, more = ''): Record<string, string | Uint8Array> => ({
  'small.mmdb': NO_GEOGRAPHY['small.mmdb'] ?? '',
  'pharos.yaml': `listen: "127.0.0.1:${port}"
status: { listen: "127.0.0.1:${statusPort}", token: ${TOKEN} }
geo: { databases: [small.mmdb] }
health: { wait: 20s, suspect: 100% }
transfer: { keys: { all: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }
updates: [{ key: all, names: ["*.dyn"], types: [TXT] }]
${more}`,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 }, dyn: { TXT: base } }
checks: { web: { type: http, path: /, interval: 1s, timeout: 1400ms, fast: 100ms, fall: 1, rise: 1 } }
services:
  www: { ttl: 5, check: web, vips: { a: { A: 192.0.2.10, probe: "127.0.0.1:${probe}" }, b: { A: 192.0.2.11, probe: "127.0.0.1:${probe}" } }, steer: [failover: [a, b]] }
`,
});

async function target(): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function update(port: number, text: string): Promise<number | undefined> {
  const updates = ['counter.dyn ANY TXT', `counter.dyn IN TXT ${text}`].map((line) => change('example.com', line));
  return sendUpdate(port, { zone: 'example.com', updates }, keyNamed('all'));
}

async function alarmsOf({ api }: Served): Promise<readonly string[]> {
  const { alarms } = (await (await fetch(`${api}/api/v1/status`)).json()) as { alarms: { code: string }[] };
  return alarms.map(({ code }) => code);
}

/** Whether the order is on the disk. */
async function drain({ api }: Served): Promise<unknown> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const path = `/api/v1/overrides/${encodeURIComponent('www.example.com/a')}`;
  const response = await fetch(`${api}${path}`, { method: 'PUT', headers, body: JSON.stringify({ state: 'drain' }) });
  return ((await response.json()) as { readonly saved?: unknown }).saved;
}

/** A small file system in memory; undefined if this process may not mount one. */
function mountSmall(path: string): (() => void) | undefined {
  mkdirSync(path);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', path]).status !== 0) return undefined;
  return () => void spawnSync('umount', ['-l', path]);
}

test.skipIf(!has('dig') || !has('mount'))('a full disk, and back', async (context) => {
  const probed = await target();
  using folder = folderOf(files(await freePort(), await freePort(), probed.port, 'state_dir: small\n'));
  const state = join(folder.path, 'small');
  const unmount = mountSmall(state);
  const fill = (name: string): void => {
    expect(spawnSync('dd', ['if=/dev/zero', `of=${join(state, name)}`, 'bs=4096']).status).not.toBe(0);
  };
  context.skip(unmount === undefined, 'this process may not mount');
  try {
    {
      await using server = await serve([], { cwd: folder.path });
      expect(await update(server.port, '1')).toBe(0);
      fill('first');
      // Nothing is confirmed that is not kept, and answers go on.
      let refused = 0;
      for (let number = 2; number < 40; number++) {
        const before = (await dig(server.port, 'TXT', 'counter.dyn.example.com')).replaceAll('"', '');
        const rcode = await update(server.port, String(number).repeat(200));
        const after = (await dig(server.port, 'TXT', 'counter.dyn.example.com')).replaceAll('"', '');
        if (rcode !== 0) refused++;
        expect(after).toBe(rcode === 0 ? String(number).repeat(200) : before);
      }
      expect(refused).toBeGreaterThan(0);
      fill('second');
      // It applies, and says that it is not kept.
      expect(await drain(server)).toBe(false);
      expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.11');
      await eventually(
        () => alarmsOf(server),
        (codes) => codes.includes('state_not_saved'),
      );
      expect(await dig(server.port, 'ns1.example.com')).toBe('192.0.2.53');
      for (const name of ['first', 'second']) rmSync(join(state, name));
      expect(await update(server.port, 'last')).toBe(0);
      expect(await drain(server)).toBe(true);
      await eventually(
        () => alarmsOf(server),
        (codes) => !codes.includes('state_not_saved'),
      );
      await server.stop('SIGKILL');
    }
    await using server = await serve([], { cwd: folder.path });
    expect(await dig(server.port, 'TXT', 'counter.dyn.example.com')).toBe('"last"');
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.11');
  } finally {
    unmount?.();
    probed.close();
  }
});

/** A control group in which processes may take this much new memory; undefined if this process may not make one. */
function limitMemory(pids: readonly number[], octets: number): (() => void) | undefined {
  const isFirstVersion = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
  const group = join(isFirstVersion ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup', `pharos-faults-${process.pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, isFirstVersion ? 'memory.limit_in_bytes' : 'memory.max'), String(octets));
    for (const pid of pids) writeFileSync(join(group, 'cgroup.procs'), String(pid));
  } catch {
    return undefined;
  }
  return () => {
    rmdirSync(group);
  };
}

test.skipIf(!has('dig'))(
  'a limit of memory that a reload exceeds: what was confirmed is there at the next start',
  async (context) => {
    const probed = await target();
    const zone = (more: string): string => `${String(files(0, 0, probed.port)['zones/example.com.yaml'])}${more}`;
    using folder = folderOf(files(await freePort(), await freePort(), probed.port));
    const path = join(folder.path, 'zones/example.com.yaml');
    try {
      {
        await using server = await serve([], { cwd: folder.path });
        const release = limitMemory(processTree(server.child.pid), 48 * 1024 * 1024);
        context.skip(release === undefined, 'this process may not limit memory');
        expect(await update(server.port, 'kept')).toBe(0);
        expect(await drain(server)).toBe(true);
        expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.11');
        writeFileSync(join(folder.path, 'zones/many.db'), Array.from({ length: 400_000 }, (_, at) => `n${at} A 192.0.2.${at % 256}\n`).join('')); // prettier-ignore
        writeFileSync(path, zone('include: [many.db]\n'));
        const headers = { authorization: `Bearer ${TOKEN}` };
        const reload = fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers }).then(
          (response) => response.status,
          () => 'ended',
        );
        // The kernel ends it, or it refuses the reload and serves what it has.
        const outcome = await Promise.race([reload, server.finished.then(() => 'ended')]);
        if (outcome === 'ended') await server.finished;
        else expect(await dig(server.port, 'ns1.example.com')).toBe('192.0.2.53');
        console.log(`a reload above the limit of memory: ${outcome}`);
        await server.stop('SIGKILL');
        release?.();
      }
      writeFileSync(path, zone(''));
      await using server = await serve([], { cwd: folder.path });
      expect(await dig(server.port, 'TXT', 'counter.dyn.example.com')).toBe('"kept"');
      expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.11');
    } finally {
      probed.close();
    }
  },
);

test.skipIf(!has('dig'))('a process that stands still takes no healthy target down', async () => {
  const probed = await target();
  try {
    using folder = folderOf(files(await freePort(), await freePort(), probed.port));
    await using server = await serve([], { cwd: folder.path });
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.10');
    // Longer than the timeout, and of lengths that end at different moments of an interval.
    const pauses = deepTrials(3, 6);
    for (let pause = 0; pause < pauses; pause++) {
      await pauseServer(server, 1500 + (2220 / pauses) * pause, 'www.example.com', '192.0.2.10');
    }
    const { recent } = (await (await fetch(`${server.api}/api/v1/events`)).json()) as { recent?: { kind: string }[] };
    expect((recent ?? []).filter(({ kind }) => kind === 'down')).toEqual([]);
  } finally {
    probed.close();
  }
});
