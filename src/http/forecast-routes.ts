import { z } from 'zod'
import { ForecastRequest } from '../api/forecast.ts'
import { ServiceSpec } from '../api/service-spec.ts'
import { readJson } from './body.ts'
import { sendJson } from './reply.ts'
import type { Route } from './routes.ts'

/** Says how keys are spelt; each spec is checked for itself later. */
const Spelling = ForecastRequest.extend({ Services: z.array(ServiceSpec) })

/** `POST /swarmctl/forecast`: where services that are to be would be placed. */
export const forecastRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/swarmctl/forecast',
    place: 'state',
    async handle({ request, response, port, read }) {
      const body = await readJson(request, Spelling)
      sendJson(response, 200, await port.control().forecast(body, read))
    },
  },
]
