import type { AutoscaleReport } from '../api/autoscale.ts'
import { precondition } from '../api/errors.ts'
import { sendJson } from './reply.ts'
import { param, type Route } from './routes.ts'

const notYet = (ServiceID: string): AutoscaleReport => ({
  ServiceID,
  Tasks: { Reported: 0, Starting: 0, Unknown: 0 },
  Metrics: [],
  Message: 'not looked at yet',
})

/** `GET /services/{id}/autoscale`: what the autoscaler saw and did last. Ours. */
export const autoscaleRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/services/:id/autoscale',
    place: 'leader',
    async handle(exchange) {
      const { port, response } = exchange
      const { ID, Spec } = await port.control().getService(param(exchange, 'id'))
      if (Spec.Swarmctl?.Autoscale === undefined) {
        throw precondition(`service ${Spec.Name} is not scaled by demand: it has no autoscaler`)
      }
      sendJson(response, 200, port.autoscaleReport(ID) ?? notYet(ID))
    },
  },
]
