/**
 * The paths that change something (docs/http-api.md). Each needs a token with the role `operate`: request-rules.ts
 * requires it by method.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fileAndLine, hasErrors, withoutForeignLines } from '../config/diagnostics.ts';
import { MAX_WEIGHT } from '../config/limits.ts';
import { plainText } from '../config/plain-text.ts';
import { parseDurationMs } from '../config/units.ts';
import { OrderNotKept } from '../fleet/order-book.ts';
import { expandTarget } from '../health/target-names.ts';
import { unknownTarget } from '../zones/read/suggest-targets.ts';
import { emptiedBy, stillNamed } from './last-vip.ts';
import { safeToStop } from './override-json.ts';
import { ProblemError } from './problem.ts';
import type { FleetDrain, GivenOrder, OrderScope, Runtime } from './runtime.ts';

type TargetParams = { readonly '*': string };
type OverrideBody = {
  readonly state: 'up' | 'down' | 'drain';
  readonly for?: string;
  readonly reason?: string;
  readonly force?: boolean;
};
type ScopeQuery = { readonly scope?: OrderScope };
type Scoped = { readonly Params: TargetParams; readonly Querystring: ScopeQuery };
type Clearing = { readonly Params: TargetParams; readonly Querystring: ScopeQuery & { readonly reason?: string } };
type WeightBody = { readonly weight: number; readonly reason?: string };
type ReloadQuery = { readonly force?: 'true' | 'false' };
type PushBody = { readonly healthy: boolean; readonly load?: number };

/** Longest `for`. For a longer override, omit `for`. */
const MAX_OVERRIDE_MS = 366 * 86_400_000;

const reason = { type: 'string', maxLength: 500 } as const;

export const overrideBody = {
  type: 'object',
  additionalProperties: false,
  required: ['state'],
  properties: {
    state: { type: 'string', enum: ['up', 'down', 'drain'] },
    for: { type: 'string', maxLength: 32 },
    reason,
    force: { type: 'boolean' },
  },
} as const;

export const weightBody = {
  type: 'object',
  additionalProperties: false,
  required: ['weight'],
  properties: { weight: { type: 'integer', minimum: 0, maximum: MAX_WEIGHT }, reason },
} as const;

export const pushBody = {
  type: 'object',
  additionalProperties: false,
  required: ['healthy'],
  properties: { healthy: { type: 'boolean' }, load: { type: 'number', minimum: 0 } },
} as const;

/** `force`: accept a zone that has shrunk much or is gone (`reload.max_shrink`). */
export const reloadQuery = {
  type: 'object',
  additionalProperties: false,
  properties: { force: { type: 'string', enum: ['true', 'false'] } },
} as const;

/** In a fleet: whether an order is for all nodes, or for this one alone. */
export const scopeQuery = {
  type: 'object',
  additionalProperties: false,
  properties: { scope: { type: 'string', enum: ['fleet', 'node'] } },
} as const;

/** Of an order that clears another. */
export const clearQuery = { ...scopeQuery, properties: { ...scopeQuery.properties, reason } } as const;

const scoped = { schema: { querystring: scopeQuery } };
const clearing = { schema: { querystring: clearQuery } };

export function changeRoutes(app: FastifyInstance, runtime: Runtime): void {
  overrideRoutes(app, runtime);
  weightRoutes(app, runtime);
  pushRoute(app, runtime);
  reloadRoute(app, runtime);
  forgetRoute(app, runtime);
}

function overrideRoutes(app: FastifyInstance, runtime: Runtime): void {
  app.put<{ Params: TargetParams; Body: OverrideBody; Querystring: ScopeQuery }>(
    '/api/v1/overrides/*',
    { schema: { body: overrideBody, querystring: scopeQuery } },
    async (request) => {
      const target = request.params['*'];
      const { state, force } = request.body;
      const reason = plain(request.body.reason);
      if (state === 'drain' && force === false) refuseLast(runtime, target);
      const safeBefore = safeNow(runtime);
      const asked = { state, forMs: durationOf(request.body.for), reason };
      const outcome = await kept(runtime.orders.override(target, asked, request.query.scope, whoOf(request)));
      if (outcome.kind === 'unknown target') throw notFound(runtime, target);
      const set = new Set(outcome.targets);
      const overrides = runtime.health.overrides().filter((one) => set.has(one.target));
      const [first] = overrides;
      const since = first?.since ?? new Date().toISOString();
      const own = safeToStop(runtime, overrides);
      const fleetDrain = outcome.scope === 'fleet' ? runtime.orders.drainOf(target) : undefined;
      const safeAt = fleetDrain === undefined ? own.safeAt : safeEverywhere(own.safeAt, fleetDrain);
      return {
        target,
        state,
        reason: reason ?? null,
        since,
        until: first?.until ?? null,
        vips: outcome.targets,
        scope: outcome.scope,
        revision: outcome.revision ?? null,
        safe_at: safeAt,
        waiting_for: fleetDrain?.waitingFor ?? [],
        still_named: stillNamed(runtime, set),
        no_longer_safe: falsified(runtime, safeBefore, set),
        kept: outcome.kept,
        warnings: [...own.warnings, ...waitingWords(fleetDrain), ...keptWords(outcome, `auto ${target}`)],
        saved: await outcome.saved,
      };
    },
  );

  app.delete<Clearing>('/api/v1/overrides/*', clearing, async (request) => {
    const target = request.params['*'];
    const { scope, reason } = request.query;
    const outcome = await kept(runtime.orders.override(target, undefined, scope, whoOf(request), plain(reason)));
    if (outcome.kind === 'unknown target') throw notFound(runtime, target);
    return { target, ...(await changedBy(outcome, `auto ${target}`)) };
  });
}

function weightRoutes(app: FastifyInstance, runtime: Runtime): void {
  app.put<{ Params: TargetParams; Body: WeightBody; Querystring: ScopeQuery }>(
    '/api/v1/weights/*',
    { schema: { body: weightBody, querystring: scopeQuery } },
    async (request) => {
      const target = request.params['*'];
      const { weight } = request.body;
      const reason = plain(request.body.reason);
      const outcome = await kept(runtime.orders.weigh(target, { weight, reason }, request.query.scope, whoOf(request)));
      if (outcome.kind === 'unknown target') throw notFound(runtime, target);
      return { target, weight, reason: reason ?? null, ...(await changedBy(outcome, `weight ${target} auto`)) };
    },
  );

  app.delete<Clearing>('/api/v1/weights/*', clearing, async (request) => {
    const target = request.params['*'];
    const { scope, reason } = request.query;
    const outcome = await kept(runtime.orders.weigh(target, undefined, scope, whoOf(request), plain(reason)));
    if (outcome.kind === 'unknown target') throw notFound(runtime, target);
    return { target, ...(await changedBy(outcome, `weight ${target} auto`)) };
  });
}

function pushRoute(app: FastifyInstance, runtime: Runtime): void {
  app.put<{ Params: TargetParams; Body: PushBody }>('/api/v1/push/*', { schema: { body: pushBody } }, (request) => {
    const target = request.params['*'];
    const { healthy, load } = request.body;
    const outcome = runtime.orders.report(target, healthy, load);
    switch (outcome) {
      case 'ok':
        return load === undefined ? { target, healthy } : { target, healthy, load };
      case 'not a push check':
        throw new ProblemError(409, `${target} has no push check`, {
          parameter: 'target',
          hint: 'add "check: {type: push, expires: 30s}" to it, or force a state with PUT /api/v1/overrides',
        });
      case 'unknown target':
        if (!/(?:^|\/)@[^/]*$/.test(target)) throw notFound(runtime, target);
        throw new ProblemError(400, 'a report must name one VIP, not a region', { parameter: 'target' });
    }
  });
}

function reloadRoute(app: FastifyInstance, runtime: Runtime): void {
  app.post<{ Querystring: ReloadQuery }>(
    '/api/v1/reload',
    { schema: { querystring: reloadQuery } },
    async (request) => {
      const reloaded = await runtime.reload({ force: request.query.force === 'true', who: whoOf(request) });
      if (reloaded.ok) return { generation: reloaded.generation, warnings: withoutForeignLines(reloaded.warnings) };
      const { number } = runtime.generation();
      const diagnostics = withoutForeignLines(reloaded.diagnostics);
      const [first] = hasErrors(diagnostics) ? diagnostics.filter(({ severity }) => severity === 'error') : diagnostics;
      const where = first === undefined ? '' : `: ${fileAndLine(first.place)}: ${first.message}`;
      throw new ProblemError(422, `reload rejected; still serving generation ${number}${where}`, {
        generation: number,
        diagnostics,
        hint: '"pharos check" shows all errors',
      });
    },
  );
}

function forgetRoute(app: FastifyInstance, runtime: Runtime): void {
  app.delete<Scoped>('/api/v1/fleet/nodes/*', scoped, async (request) => {
    const node = request.params['*'];
    const { scope = 'fleet' } = request.query;
    switch (await kept(runtime.orders.forget(node, scope, whoOf(request)))) {
      case 'forgotten':
        return { node, scope };
      case 'heard':
        throw new ProblemError(409, `${node} is heard: a node that runs cannot be forgotten`, {
          parameter: 'node',
          hint: 'stop it first, and wait until pharos fleet shows it as lost',
        });
      case 'unknown':
        throw new ProblemError(404, `unknown node ${node}`, {
          parameter: 'node',
          hint: 'pharos fleet lists the nodes',
        });
    }
  });
}

function plain(text: string | undefined): string | undefined {
  return text === undefined ? undefined : plainText(text);
}

function whoOf({ who }: FastifyRequest): string | undefined {
  return who ?? undefined;
}

/** @throws ProblemError (503) if the fleet cannot keep the order. In this case nothing was changed. */
async function kept<T>(given: Promise<T>): Promise<T> {
  try {
    return await given;
  } catch (error) {
    if (!(error instanceof OrderNotKept)) throw error;
    throw new ProblemError(503, `nothing was changed: the fleet cannot keep the order: ${error.message}`, {
      hint: 'try again when NATS can be reached, or change this node alone with ?scope=node (--local)',
    });
  }
}

/** The later of this node's time and the fleet's time; null while either is unknown. */
function safeEverywhere(own: string | null, { safeAt }: FleetDrain): string | null {
  if (own === null || safeAt === undefined) return null;
  return own > safeAt ? own : safeAt;
}

type Given = Extract<GivenOrder, { kind: 'ok' }>;

/** The part that the replies to orders have in common. `command` clears an order to this node alone. */
async function changedBy(
  outcome: Given,
  command: string,
): Promise<Pick<Given, 'kept'> & { vips: readonly string[]; warnings: readonly string[]; saved: boolean }> {
  const { targets, kept, saved } = outcome;
  return { vips: targets, kept, warnings: keptWords(outcome, command), saved: await saved };
}

/** In a fleet: warns of VIPs that still follow an order to this node alone. */
function keptWords({ scope, kept }: Given, command: string): readonly string[] {
  if (scope !== 'fleet' || kept.length === 0) return [];
  const own = `this node keeps its own order on ${kept.join(', ')}, and the other nodes follow this one`;
  return [`${own}; "pharos ${command} --local" clears the own order`];
}

function waitingWords(drain: FleetDrain | undefined): readonly string[] {
  if (drain === undefined || drain.waitingFor.length === 0) return [];
  const { waitingFor } = drain;
  return [
    `${waitingFor.join(', ')} ${waitingFor.length === 1 ? 'has' : 'have'} not confirmed it, and may still answer with it`,
  ];
}

/** @throws ProblemError (409) if the drain would leave a service without an available VIP. */
function refuseLast(runtime: Runtime, target: string): void {
  const { catalog } = runtime.generation();
  const vips = catalog.vips.map((vip) => ({
    target: vip.target,
    // VIPs without a region have ''. A TARGET with `@` does not match them.
    region: catalog.regions[vip.region]?.name || undefined,
  }));
  const meant = new Set(expandTarget(target, vips).map((vip) => vip.target));
  const emptied = emptiedBy(runtime, meant);
  const [first] = emptied;
  if (first === undefined) return;
  const others = emptied.length === 1 ? '' : ` (and ${emptied.length - 1} more services)`;
  throw new ProblemError(
    409,
    `refused, nothing was changed: without ${target}, ${first.service}${others} has no available VIP left, and ${first.consequence}`,
    { parameter: 'force', services: emptied.map(({ service }) => service), hint: 'use force to drain it anyway' },
  );
}

/** Targets that DNS answers do not name, and that have a time at which they are safe to stop. */
function safeNow(runtime: Runtime): ReadonlySet<string> {
  return new Set(runtime.health.overrides().flatMap(({ target, safeAt }) => (safeAt === undefined ? [] : [target])));
}

/** Targets of `before` that DNS answers name again, without `own`, the targets of the order. */
function falsified(runtime: Runtime, before: ReadonlySet<string>, own: ReadonlySet<string>): readonly string[] {
  return runtime.health
    .overrides()
    .filter(({ target, safeAt, present }) => present && safeAt === undefined && before.has(target) && !own.has(target))
    .map(({ target }) => target);
}

function durationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms > 0 && ms <= MAX_OVERRIDE_MS) return ms;
  throw new ProblemError(400, `"for" must be a duration of at most 366 days, got "${text}"`, {
    parameter: 'for',
    hint: 'use a unit, such as 30m or 2h; omit it for an override without end',
  });
}

function notFound(runtime: Runtime, target: string): ProblemError {
  const { detail, hint } = unknownTarget(runtime.generation().catalog, target);
  return new ProblemError(404, detail, { parameter: 'target', hint });
}
