/**
 * `POST /api/v1/simulate` (docs/http-api.md#post-apiv1simulate). It changes nothing, so it needs read access only.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { SimulatedOrder, SimulateRequest } from '../server/forecast/simulate-failure.ts';
import type { SimulateOutcome } from '../server/forecast/simulate-thread.ts';
import { whenClientEnds } from './connections.ts';
import { ProblemError } from './problem.ts';
import type { Runtime } from './runtime.ts';

type SimulateBody = {
  readonly down?: readonly string[];
  readonly order?: SimulatedOrder;
  readonly weigh?: SimulateRequest['weigh'];
};

const target = { type: 'string', minLength: 1, maxLength: 1024 } as const;

/** An order as it would be given: a state, or a weight. */
export const simulatedOrder = {
  oneOf: [
    {
      type: 'object',
      additionalProperties: false,
      required: ['target', 'state'],
      properties: { target, state: { type: 'string', enum: ['drain', 'down', 'up', 'auto'] } },
    },
    {
      type: 'object',
      additionalProperties: false,
      required: ['target', 'weight'],
      properties: { target, weight: { anyOf: [{ type: 'integer', minimum: 0, maximum: 65_535 }, { type: 'null' }] } },
    },
  ],
} as const;

export const simulateBody = {
  type: 'object',
  additionalProperties: false,
  properties: {
    down: { type: 'array', items: target, minItems: 1, maxItems: 256 },
    order: simulatedOrder,
    weigh: { type: 'string', enum: ['auto', 'addresses', 'served'] },
  },
} as const;

/** Time to send the reply, which has tens of megabytes if thousands of services are affected. */
const SEND_LIMIT_MS = 60_000;
/** `Retry-After` in seconds. Most simulations take less than one second. */
const RETRY_SECONDS = { busy: 5, replaced: 1 } as const;

export function simulateRoutes(app: FastifyInstance, runtime: Runtime): void {
  app.post<{ Body: SimulateBody }>(
    '/api/v1/simulate',
    { schema: { body: simulateBody }, config: { access: 'read' } },
    async (request, reply) => {
      const { down = [], order: given, weigh = 'auto' } = request.body;
      if ((down.length === 0) === (given === undefined)) {
        throw new ProblemError(400, 'either down or order is required', { parameter: 'down' });
      }
      const gone = new AbortController();
      const ended = (): void => {
        gone.abort();
      };
      reply.raw.once('close', ended);
      whenClientEnds(request.raw, reply.raw, ended);
      const { outcome, leave } = await runtime.simulate({ down, order: given, weigh }, gone.signal);
      if (outcome.kind !== 'done') {
        leave();
        throw simulateProblem(outcome, reply);
      }
      const limit = setTimeout(() => {
        request.raw.destroy();
      }, SEND_LIMIT_MS).unref();
      reply.raw.once('close', () => {
        clearTimeout(limit);
        leave();
      });
      if (reply.raw.closed) leave();
      return reply.type(JSON_TYPE).send(Buffer.from(outcome.json.buffer));
    },
  );
}

const JSON_TYPE = 'application/json; charset=utf-8';

/** The error for an outcome without a result. */
export function simulateProblem(
  outcome: Exclude<SimulateOutcome, { readonly kind: 'done' }>,
  reply: FastifyReply,
): ProblemError {
  const hint = 'name fewer targets';
  switch (outcome.kind) {
    case 'refused':
      return new ProblemError(400, outcome.message, { parameter: outcome.parameter });
    case 'busy':
      void reply.header('retry-after', RETRY_SECONDS.busy);
      return new ProblemError(429, 'too many simulations are waiting', {
        hint: `try again in ${RETRY_SECONDS.busy} s`,
      });
    case 'replaced':
      void reply.header('retry-after', RETRY_SECONDS.replaced);
      return new ProblemError(503, 'the configuration was reloaded during the simulation', { hint: 'try again' });
    case 'too-long':
      return new ProblemError(503, `the simulation took longer than ${outcome.seconds} s and was stopped`, { hint });
    case 'too-large':
      return new ProblemError(503, 'the simulation needed too much memory and was stopped', { hint });
    case 'cancelled':
      return new ProblemError(503, 'the simulation was stopped because the server is stopping');
  }
}
