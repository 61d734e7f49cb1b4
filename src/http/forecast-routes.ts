import { readJson } from './body.ts'
import { sendJson } from './reply.ts'
import type { Route } from './routes.ts'

/** `POST /swarmctl/forecast`: where services that are to be would be placed. */
export const forecastRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/swarmctl/forecast',
    place: 'state',
    async handle({ request, response, port, read }) {
      sendJson(response, 200, await port.control().forecast(await readJson(request), read))
    },
  },
]
