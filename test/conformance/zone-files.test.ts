/**
 * Master files in every form, served by BIND and NSD, and by Pharos in three ways: after `pharos import bind`, by
 * `include`, and after `pharos export` and `pharos import bind`. The answers are compared by what `pharos compare`
 * uses.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareServers } from '../../cli/compare/compare-servers.ts';
import { openDnsClient } from '../../cli/compare/dns-client.ts';
import { addKnown, questionsOf, type KnownNames } from '../../cli/compare/zone-names.ts';
import { masterFile } from '../../cli/export.ts';
import { importCommand } from '../../cli/import.ts';
import { parseName, type Name } from '../../wire/name.ts';
import { loadWithZones } from '../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY, type Files } from '../support/pharos.ts';
import { createDice, deepTrials, printedSeed } from '../support/random.ts';
import { runDaemon, runNsd, runPharos, type Running } from '../support/run.ts';
import { findProgram } from '../support/server-process.ts';
import { captureOutput } from '../unit/cli/captured-output.ts';
import { randomZoneText, type ZoneText } from './zone-file-text.ts';

const seed = printedSeed('zone files', 19);
const ZONES: readonly ZoneText[] = Array.from({ length: deepTrials(60, 200) }, (_, index) =>
  randomZoneText(createDice(seed * 1000 + index), `z${index}.test`),
);
const FILES: Files = Object.assign({}, ...ZONES.map(({ files }) => files)) as Files;

/** `pharos import bind` of files, as the command does it. */
function imported(files: Files, zones: readonly string[]): Files {
  using folder = folderOf(files);
  mkdirSync(join(folder.path, 'out'));
  for (const zone of zones) {
    const { output, error } = captureOutput();
    const request = {
      format: 'bind',
      path: join(folder.path, `${zone}.zone`),
      zone,
      nameServers: [],
      output: join(folder.path, 'out'),
      json: false,
    };
    const code = importCommand(request, output);
    if (code !== 0) throw new Error(`${zone}: ${error()}\n${readFileSync(request.path, 'utf8')}`);
    // Nothing is dropped or changed in silence, and here nothing at all.
    expect(error()).toMatch(/; 0 changed, 0 dropped/);
  }
  const names = readdirSync(join(folder.path, 'out'));
  return Object.fromEntries(
    names.map((name) => [`zones/${name}`, readFileSync(join(folder.path, 'out', name), 'utf8')]),
  );
}

/** The master files that `pharos export` writes of these zones. */
function exported(files: Files): Files {
  using folder = folderOf({ ...NO_GEOGRAPHY, ...files });
  const outcome = loadWithZones({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  const { generation, zones } = outcome.value;
  return Object.fromEntries(
    zones.map((zone) => {
      const written = masterFile(zone, generation);
      expect(written.dropped).toEqual([]);
      return [`${zone.file.replace(/^.*\/|\.yaml$/g, '')}.zone`, written.text];
    }),
  );
}

function apexOf(zone: string): Name {
  return parseName(`${zone}.`);
}

function label(text: string): readonly number[] {
  const octets = Buffer.from(text, 'utf8');
  return [octets.length, ...octets];
}

function namesOf({ zone, owners }: ZoneText): KnownNames {
  const names: KnownNames = new Map();
  for (const { labels, type } of owners) {
    addKnown(names, apexOf(zone), Uint8Array.from([...labels.flatMap(label), ...apexOf(zone)]), [type]);
  }
  return names;
}

async function differences(one: Running, other: Running): Promise<{ found: readonly string[]; compared: number }> {
  const [a, b] = [one, other].map(({ endpoints }) => endpoints[0]);
  if (!a || !b) throw new Error('two servers are needed');
  using askA = await openDnsClient({ endpoint: a, timeoutMs: 10_000 });
  using askB = await openDnsClient({ endpoint: b, timeoutMs: 10_000 });
  const questions = ZONES.flatMap((zone, index) => questionsOf(apexOf(zone.zone), namesOf(zone), seed + index));
  const { findings, compared, unreachable } = await compareServers({
    ...{ a: askA, b: askB, questions, clients: [], inFlight: 64, repeats: 20, everyClient: false },
    ignored: new Set(),
  });
  expect(unreachable).toBeUndefined();
  return {
    found: findings.map(({ kind, name, type, a: saysA, b: saysB }) => `${kind} ${name} ${type}: ${saysA} | ${saysB}`),
    compared,
  };
}

const OPTIONS = (port: number, folder: string): string[] => [
  'options {',
  `  directory "${folder}"; pid-file none; session-keyfile none; lock-file none;`,
  `  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };`,
  '  recursion no; dnssec-validation no; notify no; check-integrity no; check-names primary ignore;',
  '  zero-no-soa-ttl no; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore; check-sibling no; minimal-responses yes;',
  '};',
  'controls { };',
  'logging { channel c { stderr; severity info; }; category default { c; }; };',
];

function runBind(): Promise<Running> {
  return runDaemon({
    command: ['/usr/sbin/named', '-g', '-c'],
    zones: {},
    files: FILES,
    configure: (folder, port) => [
      ...OPTIONS(port, folder),
      ...ZONES.map(({ zone }) => `zone "${zone}" { type primary; file "${zone}.zone"; };`),
    ],
    isReady: (output) => / running\n/.test(output),
    isBroken: (output) => /: not loaded due to errors|loading configuration: failure/.test(output),
  });
}

describe.skipIf(findProgram('named') === undefined || findProgram('nsd') === undefined)(
  'zone files of other servers',
  () => {
    let after: Files;
    let moved: Running;
    beforeAll(async () => {
      after = {
        ...NO_GEOGRAPHY,
        ...imported(
          FILES,
          ZONES.map(({ zone }) => zone),
        ),
      };
      moved = await runPharos(after);
    });
    afterAll(() => moved[Symbol.asyncDispose]());

    test('imported: the answers are those of BIND', async () => {
      await using bind = await runBind();
      const { found, compared } = await differences(bind, moved);
      expect(found).toEqual([]);
      expect(compared).toBeGreaterThan(ZONES.length * 80);
    });

    test('included: the answers are those of NSD', async () => {
      const yaml = Object.fromEntries(
        ZONES.map(({ zone }) => [`zones/${zone}.yaml`, `zone: ${zone}\ninclude: [${zone}.zone]\n`]),
      );
      const below = Object.fromEntries(Object.entries(FILES).map(([name, text]) => [`zones/${name}`, text]));
      await using included = await runPharos({ ...NO_GEOGRAPHY, ...yaml, ...below });
      await using nsd = await runNsd(
        Object.fromEntries(ZONES.map(({ zone }) => [zone, String(FILES[`${zone}.zone`])])),
        undefined,
        FILES,
      );
      expect((await differences(nsd, included)).found).toEqual([]);
    });

    test('exported and imported again: the answers are the same', async () => {
      const again = imported(
        exported(after),
        ZONES.map(({ zone }) => zone),
      );
      await using back = await runPharos({ ...NO_GEOGRAPHY, ...again });
      expect((await differences(moved, back)).found).toEqual([]);
    });
  },
);
