/** All fuzz targets, one row each. */
import type { FuzzTarget } from './fuzz-target.ts';
import { configurations, databases, latencyTables } from './targets/configurations.ts';
import { fleetMessages } from './targets/fleet-messages.ts';
import { httpRequests } from './targets/http-requests.ts';
import { imports } from './targets/imports.ts';
import { packets } from './targets/packets.ts';
import { dnsResponses, grpcResponses, httpResponses, reportedLoads } from './targets/probe-responses.ts';
import { journals, keyFiles, stateFiles } from './targets/state-files.ts';
import { frames, proxyHeaders } from './targets/streams.ts';
import { updates } from './targets/updates.ts';

export const TARGETS: readonly FuzzTarget[] = [
  packets,
  frames,
  proxyHeaders,
  updates,
  fleetMessages,
  configurations,
  databases,
  latencyTables,
  imports,
  httpRequests,
  httpResponses,
  grpcResponses,
  reportedLoads,
  dnsResponses,
  stateFiles,
  journals,
  keyFiles,
];
