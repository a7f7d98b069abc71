/**
 * `pharos import gdnsd` is right if the imported zones answer as gdnsd does: random configurations of all plug-ins,
 * both servers with the same states of the same addresses, compared by what `pharos compare` uses. Names about which
 * the import says something may differ; all others must not.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeGeoip2 } from '../../bench/geoip2.ts';
import { compareServers, type Comparison } from '../../cli/compare/compare-servers.ts';
import { openDnsClient } from '../../cli/compare/dns-client.ts';
import { parseClients, sampleClients } from '../../cli/compare/sample-clients.ts';
import { addKnown, questionsOf, type KnownNames } from '../../cli/compare/zone-names.ts';
import { importCommand } from '../../cli/import.ts';
import { viewAtlas } from '../../geo/atlas-view.ts';
import { bundledDatabasePath } from '../../geo/geography.ts';
import {
  FORCED,
  NEVER_SECONDS,
  createHealthTable,
  packState,
  PROBED,
  viewHealthTable,
} from '../../health/health-table.ts';
import { formatName, parseName } from '../../wire/name.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf, load, type Files } from '../support/pharos.ts';
import { createDice, deepTrials, printedSeed } from '../support/random.ts';
import { runGeneration } from '../support/run.ts';
import { findProgram, startServer } from '../support/server-process.ts';
import { captureOutput } from '../unit/cli/captured-output.ts';
import { randomEstate, ZONE, type Estate } from './gdnsd-estate.ts';

const GDNSD = findProgram('gdnsd');
const APEX = parseName(`${ZONE}.`);
/** Configurations, each with some 5,000 questions and clients. */
const ESTATES = deepTrials(2, 6);

/** gdnsd answers with a CNAME alone. RFC 1034 4.3.2 3a adds what it leads to, which resolvers ask for otherwise. */
const ALIASES: ReadonlySet<string> = new Set(['alias']);

/** As notes name it. Questions are asked in other letters too. */
function ownerOf(name: string): string {
  return name.toLowerCase().replace(`.${ZONE}`, '');
}

type Imported = { readonly files: Files; readonly noted: ReadonlySet<string> };

/** Runs the import as the command does. */
function imported(folder: string): Imported {
  const { output, out, error } = captureOutput();
  mkdirSync(join(folder, 'out'));
  const request = {
    format: 'gdnsd',
    path: join(folder, 'gdnsd'),
    zone: ZONE,
    nameServers: [],
    output: join(folder, 'out'),
    json: true,
  };
  importCommand(request, output);
  const report = JSON.parse(out()) as {
    readonly zones: readonly { readonly notes: readonly { readonly owner?: string; readonly message: string }[] }[];
    readonly diagnostics: readonly { readonly severity: string; readonly message: string }[];
  };
  const errors = report.diagnostics.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(`${JSON.stringify(errors)}\n${error()}`);
  const notes = report.zones.flatMap((zone) => zone.notes);
  const files = Object.fromEntries(
    readdirSync(join(folder, 'out')).map((name) => [`zones/${name}`, readFileSync(join(folder, 'out', name), 'utf8')]),
  );
  return {
    files,
    noted: new Set(notes.flatMap(({ owner }) => owner ?? [])),
  };
}

/** The states of gdnsd's addresses, for the VIPs that have a check. */
function healthOf({ catalog }: LoadedGeneration, states: Estate['states']): SharedArrayBuffer {
  const memory = createHealthTable(catalog.vips.length);
  const table = viewHealthTable(memory, catalog.vips.length);
  for (const { slot, a, aaaa, cname, weight, check } of catalog.vips) {
    const up = [a, aaaa, cname].flatMap((each) =>
      each === undefined ? [] : (states.get(each) ?? states.get(`${each}.`) ?? []),
    );
    const probed =
      check === undefined || up.length === 0 ? PROBED.UNKNOWN : up.every(Boolean) ? PROBED.UP : PROBED.DOWN;
    table.states[slot] = packState(probed, FORCED.NONE, NEVER_SECONDS);
    table.weights[slot] = weight;
  }
  return memory;
}

async function startGdnsd(folder: string, estate: Estate) {
  const port = await freePort();
  for (const name of ['zones', 'run', 'state']) mkdirSync(join(folder, 'gdnsd', name), { recursive: true });
  const options = `options => { listen => 127.0.0.1:${port}, udp_threads => 1, tcp_threads => 1, run_dir => ${folder}/gdnsd/run, state_dir => ${folder}/gdnsd/state }\n`;
  writeFileSync(join(folder, 'gdnsd', 'config'), options + estate.config.replaceAll('FOLDER', folder));
  writeFileSync(join(folder, 'gdnsd', 'zones', ZONE), estate.zone);
  const lines = [...estate.states].map(([name, isUp]) => `${name} => ${isUp ? 'UP' : 'DOWN'}`);
  writeFileSync(join(folder, 'states'), `${lines.join('\n')}\n`);
  return await startServer(GDNSD ?? 'gdnsd', ['-c', join(folder, 'gdnsd'), 'start'], port, ZONE);
}

function namesOf(estate: Estate): KnownNames {
  const names: KnownNames = new Map();
  for (const name of [...estate.names, ...estate.steered.keys()]) {
    addKnown(
      names,
      APEX,
      name === '@' ? APEX : parseName(name, APEX),
      estate.steered.has(name) ? [1, 28, 5, 16] : [1, 2, 6, 15, 16, 33, 35, 257, 65_400],
    );
  }
  return names;
}

async function compareEstate(estate: Estate, seed: number): Promise<{ comparison: Comparison; found: Imported }> {
  using folder = folderOf({});
  writeGeoip2(bundledDatabasePath(), join(folder.path, 'geo.mmdb'));
  const gdnsd = await startGdnsd(folder.path, estate);
  try {
    const found = imported(folder.path);
    const generation = load({ ...found.files, 'pharos.yaml': `geo: { databases: ["${folder.path}/geo.mmdb"] }\n` });
    await using pharos = await runGeneration(generation, { health: healthOf(generation, estate.states) });
    const atlas = { ...viewAtlas(generation.atlas), places: generation.locations };
    const named = parseClients(estate.networks.join('\n'));
    if (typeof named === 'string') throw new Error(named);
    const clients = [...named, ...sampleClients(atlas, 1, seed)];
    using a = await openDnsClient({ endpoint: { host: '127.0.0.1', port: gdnsd.port }, timeoutMs: 10_000 });
    using b = await openDnsClient({
      endpoint: { host: '127.0.0.1', port: pharos.endpoints[0]?.port ?? 0 },
      timeoutMs: 10_000,
    });
    // What the import says of the other names is tested elsewhere.
    const questions = questionsOf(APEX, namesOf(estate), seed).filter(
      ({ name }) => !found.noted.has(ownerOf(formatName(name))),
    );
    const comparison = await compareServers({
      a,
      b,
      questions,
      clients,
      inFlight: 32,
      repeats: 60,
      ignored: new Set(),
      everyClient: false,
    });
    return { comparison, found };
  } finally {
    await gdnsd.stop();
  }
}

describe.skipIf(GDNSD === undefined)('imported configurations answer as gdnsd does', () => {
  const seed = printedSeed('gdnsd estates', 19);
  let compared = 0;
  test.each(Array.from({ length: ESTATES }, (_, index) => index))('configuration %i', async (index) => {
    const estate = randomEstate(createDice(seed * 1000 + index));
    const { comparison, found } = await compareEstate(estate, seed + index);
    compared += comparison.compared;
    const silent = [...estate.steered.keys()].filter((name) => !found.noted.has(name));
    expect(silent.length / estate.steered.size).toBeGreaterThan(0.5);
    const differences = comparison.findings
      .filter(({ name }) => !ALIASES.has(ownerOf(name)))
      .map(
        (each) =>
          `${each.kind} ${each.name} ${each.type}: ${each.a} | ${each.b} (${each.clients} clients, ${each.client ?? ''})`,
      );
    expect(differences).toEqual([]);
    expect(comparison.unreachable).toBeUndefined();
  });

  test('at least 3,300 questions of clients were compared for each', () => {
    console.log(`${compared} answers compared`);
    expect(compared).toBeGreaterThan(ESTATES * 3_334);
  });
});
