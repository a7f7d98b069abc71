/**
 * Files of other systems (`pharos import`): there are zones or errors, and what is written without an error is valid.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { importCommand } from '../../../cli/import.ts';
import type { Diagnostic } from '../../../config/diagnostics.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { editedText } from '../mutations.ts';

const SAMPLES = fileURLToPath(new URL('../../unit/cli/import/samples/', import.meta.url));

/** The files of a sample, by their path from `path`, which is what is imported. */
type Sample = { readonly format: string; readonly path: string; readonly files: Readonly<Record<string, string>> };

function sampleOf(format: string, path: string): Sample {
  const files: Record<string, string> = {};
  const collect = (at: string): void => {
    if (statSync(join(SAMPLES, at)).isDirectory())
      for (const name of readdirSync(join(SAMPLES, at))) collect(join(at, name));
    else files[at] = readFileSync(join(SAMPLES, at), 'utf8');
  };
  collect(path);
  return { format, path, files };
}

const GEODNS = {
  ...{ serial: 7, ttl: 600, max_hosts: 2, targeting: '@ country continent asn ip' },
  data: {
    '': {
      ns: { 'ns1.example.net.': null },
      mx: [{ mx: 'mx1.example.net', preference: 10, weight: 1 }],
      txt: 'say "hi"',
    },
    www: { a: [['203.0.113.1', 10], ['203.0.113.2', 10]], aaaa: [['2001:db8::1', 10]], ttl: '30' }, // prettier-ignore
    'www.europe': { a: [['203.0.113.4', 10]] },
    'www.as64500': { a: [['203.0.113.8', 10]] },
    cdn: { cname: 'a.example.net.' },
    copy: { alias: 'www' },
  },
};
const inline = (format: string, path: string, text: string): Sample => ({ format, path, files: { [path]: text } });

const BASES: readonly Sample[] = [
  sampleOf('bind', 'db.example.com'),
  sampleOf('route53', 'route53.json'),
  sampleOf('gdnsd', 'gdnsd'),
  sampleOf('octodns', 'example.com.yaml'),
  sampleOf('powerdns', 'powerdns.db'),
  inline('geodns', 'example.com.json', JSON.stringify(GEODNS, undefined, 1)),
];
const WORDS = ['{', '}', '[', ']', '"', "'", ':', ',', '=>', '\n', '  ', ';', '(', ')', '\\', '@', '$TTL ', '$INCLUDE x\n', 'null', 'true', '-1', '1e99', '0', 'www', 'example.com.', '*', '.', '192.0.2.1', '2001:db8::1', 'ttl', 'weight', 'A', 'CNAME', 'LUA', 'DYNA ', 'geoip!', '__proto__', '!include x', '&a ', '*a', '\0', 'é']; // prettier-ignore

type ImportInput = { readonly format: string; readonly path: string; readonly file: string; readonly text: string };

export const imports = fuzzTarget<ImportInput>({
  name: 'imports',
  about: 'files of BIND, Route 53, gdnsd, octoDNS, PowerDNS and GeoDNS',
  trials: 120,
  inputs: fc
    .constantFrom(
      ...BASES.flatMap(({ format, path, files }) =>
        Object.entries(files).map(([file, text]) => ({ format, path, file, text })),
      ),
    ) // prettier-ignore
    .chain(({ text, ...rest }) => editedText(fc.constant(text), WORDS, 3).map((edited) => ({ ...rest, text: edited }))),
  open: () => {
    const root = mkdtempSync(join(tmpdir(), 'pharos-fuzz-'));
    let turn = 0;
    const run = ({ format, path, file, text }: ImportInput): void => {
      const folder = join(root, String(turn++));
      const base = BASES.find((each) => each.format === format && each.path === path);
      for (const [name, content] of Object.entries({ ...base?.files, [file]: text })) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), content);
      }
      const { output, out, error } = captureOutput();
      const options = {
        format,
        path: join(folder, path),
        zone: 'example.com',
        nameServers: [],
        output: undefined,
        json: true,
      };
      const code = importCommand(options, output);
      rmSync(folder, { recursive: true });
      if (out() === '') {
        if (code === 0 || error() === '') throw new Error(`${code} without a word`);
        return;
      }
      judge(JSON.parse(out()) as Reported, code);
    };
    return {
      run,
      close: () => {
        rmSync(root, { recursive: true });
      },
    };
  },
});

type Reported = {
  readonly ok: boolean;
  readonly zones: readonly { readonly zone: string; readonly yaml?: string }[];
  readonly diagnostics: readonly Diagnostic[];
};

function judge({ ok, zones, diagnostics }: Reported, code: number): void {
  if (ok !== (code === 0)) throw new Error(`ok is ${ok}, the exit code ${code}`);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  if (!ok && errors.length === 0 && zones.length > 0) throw new Error('it is refused, without an error');
  for (const { message } of diagnostics) {
    if (/undefined|\[object /.test(message)) throw new Error(`message: ${message}`);
  }
  for (const { yaml = '' } of zones)
    if (/: undefined|\[object /.test(yaml)) throw new Error(`YAML: ${yaml.slice(0, 300)}`);
}
