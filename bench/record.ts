/**
 * `node bench/record.ts NAME [OPTION ...]` runs bench/NAME.ts with the options, and writes its output into RESULTS.md.
 * Its exit code is that of the script.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { readVersion } from '../cli/version.ts';
import { describeRun, isSection, writeSection } from './results.ts';

const [name = '', ...options] = process.argv.slice(2);
if (!isSection(name)) {
  console.error(
    'usage: node bench/record.ts failover|health|scale|isolation|startup|moving-in|flood|fleet|fleet-scale [OPTION ...]',
  );
  process.exit(2);
}
const about = describeRun(['node', `bench/${name}.ts`, ...options].join(' '), loadavg()[0] ?? 0);
const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
const child = spawn(process.execPath, [script, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
let printed = '';
child.stdout.setEncoding('utf8').on('data', (text: string) => {
  printed += text;
  process.stdout.write(text);
});
const [code] = (await once(child, 'close')) as [number | null];
// 1: measured, and a limit was exceeded.
if ((code === 0 || code === 1) && !options.includes('--help')) {
  const versions = `- Pharos ${readVersion()}, Node.js ${process.versions.node}`;
  console.log(`written to ${writeSection(name, [...about, versions, '', '```', printed.trimEnd(), '```'])}`);
}
process.exitCode = code ?? 1;
