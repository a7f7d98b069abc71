/**
 * Other programs read our answers: every type, by dig, kdig, drill, delv and dnspython, without a warning.
 */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { typeNumber } from '../../wire/types.ts';
import { has, run } from '../support/process.ts';
import { createDice, deepTrials, printedSeed } from '../support/random.ts';
import { runPharos, type Running } from '../support/run.ts';
import { SAMPLES } from '../unit/wire/rdata-samples.ts';

const APEX = '@ 300 SOA ns1 hostmaster 1 7200 1800 1209600 60\n@ NS ns1\nns1 A 192.0.2.53\n';
/** One owner per type; the last text of each, because the first ones are the simplest. */
/** Types of signed zones are rejected. */
const REFUSED: ReadonlySet<string> = new Set(['RRSIG', 'NSEC', 'NSEC3', 'NSEC3PARAM']);
const owners = Object.entries(SAMPLES).flatMap(([mnemonic, texts]) => {
  const text = texts.at(-1);
  return mnemonic === 'SOA' || mnemonic === 'NS' || REFUSED.has(mnemonic) || text === undefined
    ? []
    : [{ mnemonic, owner: mnemonic.toLowerCase(), text }];
});
/** NS below the apex is a delegation. */
const asked = [
  ...owners.map(({ owner, mnemonic }) => ({ name: `${owner}.types.example.`, mnemonic })),
  ...['SOA', 'NS'].map((mnemonic) => ({ name: 'types.example.', mnemonic })),
];
const FILES = {
  'zones/types.example.yaml': 'zone: types.example\nttl: 300\ninclude: [types.zone]\n',
  'zones/types.zone': APEX + owners.map(({ owner, mnemonic, text }) => `${owner} ${mnemonic} ${text}\n`).join(''),
};
const typeOf = (mnemonic: string): string => `TYPE${typeNumber(mnemonic) ?? 0}`;

let server: Running | undefined;
let port = 0;
beforeAll(async () => {
  server = await runPharos(FILES);
  port = server.endpoints[0]?.port ?? 0;
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

/** A reader's arguments for questions, its output that is not content, and types that it does not show in answers. */
const READERS: readonly {
  program: string;
  args: (...questions: string[]) => string[];
  /** How many questions one process asks. */
  atOnce: number;
  complaint: RegExp;
  except?: readonly string[];
  /** How many of the types it reads: a slow program not all of them. */
  most?: number;
}[] = [
  {
    program: 'dig',
    args: (...questions) => ['@127.0.0.1', '-p', `${port}`, '+norecurse', '+tries=1', '+nocookie', ...questions],
    atOnce: 20,
    complaint: /warning|malformed|extra bytes|FORMERR|timed out|invalid/i,
  },
  {
    program: 'kdig',
    args: (...questions) => ['@127.0.0.1', '-p', `${port}`, '+norecurse', '+retry=0', ...questions],
    atOnce: 20,
    complaint: /warning|malformed|failed|trailing|timed out/i,
  },
  {
    program: 'drill',
    args: (name = '', type = '') => ['-p', `${port}`, '-o', 'rd', name, '@127.0.0.1', type],
    atOnce: 1,
    complaint: /warning|^error|malformed/im,
  },
  {
    program: 'delv',
    args: (...questions) => ['@127.0.0.1', '-p', `${port}`, '-i', ...questions],
    atOnce: 1,
    complaint: /failed|broken|malformed|timed out/i,
    except: ['SIG'],
    most: deepTrials(20, 100),
  },
];

describe.each(READERS)('$program', ({ program, args, atOnce, complaint, except = [], most }) => {
  test.skipIf(!has(program))('reads every type', async () => {
    const complaints: string[] = [];
    const known = asked.filter(({ mnemonic }) => !except.includes(mnemonic));
    const questions = most === undefined ? known : createDice(printedSeed(program)).sample(known, most);
    expect(known.length).toBeGreaterThan(40);
    for (let from = 0; from < questions.length; from += atOnce) {
      const some = questions.slice(from, from + atOnce);
      const words = some.flatMap(({ name, mnemonic }) => [name, typeOf(mnemonic)]);
      const { code, stdout, stderr } = await run(args(...words), { command: program });
      const text = stdout + stderr;
      const shown = [...text.matchAll(/^(\S+)\s+300\s+IN\s/gm)].map(([, name]) => name);
      const missing = some.filter(({ name }) => !shown.includes(name));
      if (code !== 0 || shown.length < some.length || missing.length > 0 || complaint.test(text)) {
        complaints.push(`${missing.map(({ mnemonic }) => mnemonic).join(' ')} (${code}): ${text}`);
      }
    }
    expect(complaints.join('\n')).toBe('');
  });
});

const PYTHON = '/usr/bin/python3';
const SCRIPT = `
import sys, warnings
warnings.simplefilter("error")
import dns.flags, dns.message, dns.query, dns.rdatatype
for line in sys.stdin:
    name, number = line.split()
    query = dns.message.make_query(name, int(number), use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    for ask in (dns.query.udp, dns.query.tcp):
        response = ask(query, "127.0.0.1", port=int(sys.argv[1]), timeout=5)
        if len(response.answer) != 1 or not query.is_response(response):
            print(name, response)
        # To text and back to octets.
        for rdata in response.answer[0] if response.answer else []:
            str(rdata), rdata.to_wire()
print("done")
`;
const hasDnspython = spawnSync(PYTHON, ['-c', 'import dns.message']).status === 0;

test.skipIf(!hasDnspython)('dnspython reads every type, over UDP and TCP', () => {
  const input = asked.map(({ name, mnemonic }) => `${name} ${typeNumber(mnemonic) ?? 0}\n`).join('');
  // The server's threads answer while this thread waits.
  const { stdout, stderr } = spawnSync(PYTHON, ['-c', SCRIPT, `${port}`], { input, encoding: 'utf8' });
  expect([stdout, stderr]).toEqual(['done\n', '']);
});
