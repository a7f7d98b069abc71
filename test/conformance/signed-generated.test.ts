/**
 * Generated zones through a validating resolver: delegations, wildcards, empty non-terminals, DNAMEs, chains of CNAMEs
 * and odd owner names (docs/conformance.md#signed-zones). PHAROS_DNSSEC_QUERIES=100000 sends that many queries,
 * PHAROS_SEED repeats a run.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeKey, readKeys } from '../../dnssec/key-files.ts';
import { parseName } from '../../wire/name.ts';
import { typeText } from '../../wire/types.ts';
import { loadGeneration } from '../../zones/load-generation.ts';
import { freePort } from '../support/free-port.ts';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { TEST_MS } from '../support/patience.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { has, run, serve } from '../support/process.ts';
import { randomName, randomZone, ZONE_LABELS } from '../support/random-zone.ts';
import { createDice, deepTrials, printedSeed, type Dice } from '../support/random.ts';
import { udpAsker } from '../support/run.ts';
import { anchorsIn, startResolver } from '../support/validating-resolver.ts';
import { validate } from '../support/validator.ts';

const WANTED = Number(process.env['PHAROS_DNSSEC_QUERIES'] ?? deepTrials(800, 2400));
const ZONES = 12;
const NOW = Math.floor(Date.now() / 1000);
/** Octets around those that sort differently as text, the longest label, and capitals. */
const ODD_LABELS = ['\\000', '\\001z', '\\255', '\\032', 'A', '-', '_x', 'a!', 'xn--a', '*a', 'y'.repeat(63)];
const LABELS = [...ZONE_LABELS, ...ODD_LABELS];
const TYPES = [T.A, T.A, T.AAAA, T.TXT, T.MX, T.NS, T.SOA, T.DS, T.HTTPS];

/** Random zones without mistakes, by file. */
function generatedZones(dice: Dice): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  while (found.size < ZONES) {
    const apex = `g${found.size}.example`;
    const labels = dice.chance(0.5) ? LABELS : ZONE_LABELS;
    // unbound 1.17 finds proofs bogus in which a wildcard is an empty non-terminal.
    const inner = labels.filter((label) => label !== '*');
    const { text } = randomZone(dice, { apex, labels, inner });
    using folder = folderOf({ ...NO_GEOGRAPHY, [`zones/${apex}.yaml`]: text });
    makeKey(join(folder.path, 'state', 'keys'), parseName(`${apex}.`), NOW);
    // Some are refused, for example for CNAMEs in a circle.
    if (loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 }).ok) found.set(`zones/${apex}.yaml`, text); // prettier-ignore
  }
  return found;
}

/** Whether the validator of BIND finds the answer of the server secure. */
async function isSecureForDelv(
  port: number,
  folder: string,
  apex: string,
  name: string,
  type: number,
): Promise<boolean> {
  // prettier-ignore
  const [anchor = ''] = anchorsIn(join(folder, 'state', 'keys')).filter((line) => line.startsWith(`${apex} `));
  const [flags, protocol, algorithm, ...key] = anchor
    .slice(anchor.indexOf('DNSKEY') + 6)
    .trim()
    .split(/\s+/);
  const file = join(folder, 'delv.conf');
  writeFileSync(file, `trust-anchors { ${apex} static-key ${flags} ${protocol} ${algorithm} "${key.join('')}"; };\n`);
  const args = ['@127.0.0.1', '-p', String(port), '-a', file, `+root=${apex}`, '-q', name, '-t', typeText(type)];
  return (await run(args, { command: 'delv' })).stdout.includes('fully validated');
}

describe.skipIf(!has('unbound') || !has('delv'))('generated zones', () => {
  test(
    `${WANTED} random queries are secure, with and without aggressive NSEC`,
    { timeout: TEST_MS + WANTED * 100 },
    async () => {
      const dice = createDice(printedSeed('generated zones'));
      const port = await freePort();
      const zones = generatedZones(dice);
      const texts = [...zones.values()];
      using folder = folderOf({
        ...NO_GEOGRAPHY,
        'pharos.yaml': `listen: 127.0.0.1:${port}\nstatus: { listen: 127.0.0.1:0 }\ngeo: { databases: [small.mmdb] }\n`,
        ...Object.fromEntries(zones),
      });
      const keys = join(folder.path, 'state', 'keys');
      const apexes = texts.map((_, index) => `g${index}.example.`);
      for (const apex of apexes) makeKey(keys, parseName(apex), NOW - 10);
      const keysOf = new Map(apexes.map((apex) => [apex, readKeys(keys, parseName(apex)).keys]));
      await using _ = await serve(['pharos.yaml'], { cwd: folder.path });
      using direct = await udpAsker({ host: '127.0.0.1', port });
      const stubs = apexes.map((apex, index) => ({ zone: apex, ports: [port], anchors: index === 0 ? anchorsIn(keys) : [] })); // prettier-ignore
      await using aggressive = await startResolver(stubs, { more: ['aggressive-nsec: yes'] });
      await using usual = await startResolver(stubs, { more: ['aggressive-nsec: no'] });
      const seen = new Map<string, number>();
      for (let i = 0; i < WANTED; i++) {
        const at = dice.below(apexes.length);
        const apex = apexes[at] ?? '';
        const labels = texts[at]?.includes('\\') === true || dice.chance(0.2) ? LABELS : ZONE_LABELS;
        const owners = [...(texts[at] ?? '').matchAll(/^ {2}'(.*)': \{/gm)].map(([, owner = '']) => owner);
        const label = dice.chance(0.4) ? dice.pick(['', ...owners]) : randomName(dice, dice.chance(0.2) ? [...labels, `r${dice.below(900)}`] : labels); // prettier-ignore
        const name = label === '' ? apex : `${label}.${apex}`;
        const type = dice.pick(TYPES);
        // unbound 1.17 counts the labels of such names wrongly when a wildcard further up covers them.
        if (label.startsWith('*') && !owners.includes(label)) continue;
        const query = encodeQuery(name, type, { edns: { dnssecOk: true, size: 4096 } });
        const ours = decodeMessage(Buffer.from(await direct.ask(query)));
        // The slow validator does not know escapes in names.
        let kind = /[\\!]/.test(`${name}${texts[at] ?? ''}`) ? 'odd' : '';
        if (kind === '') {
          const lower = name.toLowerCase();
          kind = validate(ours, { name: lower, type, apex, keys: keysOf.get(apex) ?? [], nowSeconds: NOW });
        } else if (ours.answer.length > 0 && !ours.answer.some((each) => each.type === type) && !ours.authority.some((each) => each.type === T.SOA)) kind = 'elsewhere'; // prettier-ignore
        const isBelowCut = ours.authority.some((each) => each.type === T.NS);
        const isChain = ours.answer.some((each) => each.type === T.DNAME) && (type === T.DS || type === T.NS);
        // A delegation leads to a server that does not exist. See docs/conformance.md for types behind a DNAME.
        if (isBelowCut || isChain || kind === 'elsewhere' || (type === T.DS && name === apex)) continue;
        for (const resolver of [aggressive, usual]) {
          const message = await resolver.ask(name, type);
          // From an NSEC, unbound does not always tell that the end of a chain does not exist. For DS records it looks
          // among the NSECs of its cache in any case.
          const isOpen = (resolver === aggressive || type === T.DS) && ours.answer.length > 0 && message.rcode === 0;
          const bogus = resolver.log().split('\n').filter((line) => line.includes('failure')); // prettier-ignore
          // unbound 1.17 finds some proofs bogus, such as one by the NSEC of the apex that leads to `*`: then BIND
          // decides.
          if (message.rcode === 2 && ours.rcode !== 2 && (await isSecureForDelv(port, folder.path, apex, name, type))) {
            seen.set('secure for delv alone', (seen.get('secure for delv alone') ?? 0) + 1);
            continue;
          }
          expect([name, type, isOpen ? ours.rcode : message.rcode, message.isSecure], `${bogus.slice(-3).join('\n')}\n${texts[at] ?? ''}\n${JSON.stringify(ours)}`).toEqual([name, type, ours.rcode, true]); // prettier-ignore
        }
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
      console.log(`generated zones: ${[...seen].map(([kind, times]) => `${kind} ${times}`).join(', ')}`);
      for (const kind of ['answer', 'nxdomain', 'nodata', 'odd']) expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(WANTED / 60); // prettier-ignore
    },
  );
});
