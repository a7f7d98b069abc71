/**
 * `POST /api/v1/simulate` (docs/http-api.md#post-apiv1simulate). It changes nothing, so it needs read access only.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { SimulateRequest } from '../server/forecast/simulate-failure.ts';
import type { SimulateOutcome } from '../server/forecast/simulate-thread.ts';
import { ProblemError } from './problem.ts';
import type { Runtime } from './runtime.ts';

type SimulateBody = { readonly down: readonly string[]; readonly weigh?: SimulateRequest['weigh'] };

export const simulateBody = {
  type: 'object',
  additionalProperties: false,
  required: ['down'],
  properties: {
    down: { type: 'array', items: { type: 'string', minLength: 1, maxLength: 1024 }, minItems: 1, maxItems: 256 },
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
      const { down, weigh = 'auto' } = request.body;
      const gone = new AbortController();
      const ended = (): void => {
        gone.abort();
      };
      reply.raw.once('close', ended);
      const { outcome, leave } = await runtime.simulate({ down, weigh }, gone.signal);
      if (outcome.kind !== 'done') {
        leave();
        throw problemOf(outcome, reply);
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

function problemOf(outcome: Exclude<SimulateOutcome, { readonly kind: 'done' }>, reply: FastifyReply): ProblemError {
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
