/** dnstap to a real collector: fstrm_capture (Debian: fstrm-bin), read by dnstap-ldns. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { dig, eventually, has, run, start } from '../support/process.ts';

const ZONE = 'zone: example.com\nnameservers: [ns1]\nrecords:\n  ns1: { A: 192.0.2.53 }\n  www: { A: 192.0.2.80 }\n';

test.skipIf(!has('fstrm_capture') || !has('dnstap-ldns'))(
  'a collector that comes late gets queries and responses, and the log gets none',
  async () => {
    using folder = folderOf({
      'pharos.yaml':
        'listen: 127.0.0.1:0\nstatus: off\ndns: { nsid: ams1 }\nlog: { dnstap: { socket: dnstap.sock, sample: 1 } }\n',
      'zones/example.com.yaml': ZONE,
    });
    await using server = start(['serve'], { cwd: folder.path });
    const [, port = ''] = await server.until(/"listen":\["127\.0\.0\.1:(\d+)".*"msg":"serving"/);
    expect(server.stdout()).toMatch(/dnstap: .*trying again/);
    const tap = join(folder.path, 'tap');
    const socket = join(folder.path, 'dnstap.sock');
    await using collector = start(['-t', 'protobuf:dnstap.Dnstap', '-u', socket, '-w', tap], {
      command: 'fstrm_capture',
    });
    const tapped = async (): Promise<number> => {
      await dig(Number(port), 'www.example.com', 'A');
      return statSync(tap, { throwIfNoEntry: false })?.size ?? 0;
    };
    // More than the header of the file.
    await eventually(tapped, (octets) => octets > 500);
    await collector.stop('SIGINT');
    const { stdout } = await run(['-r', tap, '-y'], { command: 'dnstap-ldns' });
    expect(stdout).toMatch(/identity: "ams1"/);
    expect(stdout).toMatch(/type: AUTH_QUERY[\s\S]*query_address: "127\.0\.0\.1"[\s\S]*;www\.example\.com\.\tIN\tA/);
    expect(stdout).toMatch(/type: AUTH_RESPONSE[\s\S]*www\.example\.com\.\t300\tIN\tA\t192\.0\.2\.80/);
    expect(server.stdout()).not.toContain('"msg":"query"');
  },
);
