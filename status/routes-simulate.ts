/**
 * `POST /api/v1/simulate` (SPEC 7). It changes nothing, so it may be asked by whoever may read.
 */
import type { FastifyInstance } from 'fastify';
import type { SimulateRequest } from '../server/forecast/simulate-failure.ts';
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

export function simulateRoutes(app: FastifyInstance, runtime: Runtime): void {
  app.post<{ Body: SimulateBody }>(
    '/api/v1/simulate',
    { schema: { body: simulateBody }, config: { access: 'read' } },
    (request) => {
      const { down, weigh = 'auto' } = request.body;
      const simulated = runtime.simulate({ down, weigh });
      if (simulated.ok) return simulated.simulation;
      throw new ProblemError(400, simulated.message, { parameter: simulated.parameter });
    },
  );
}
