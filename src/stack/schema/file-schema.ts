import {
  boolean,
  driverOptions,
  either,
  list,
  mapOf,
  pairs,
  type RecordSchema,
  record,
  scalar,
  since,
  string,
} from './schema.ts'
import { OBJECT_NAME, serviceSchema } from './service-schema.ts'

const extensions = { extensionsSince: '3.7' } as const
const external = either(boolean, record({ name: string }))
const emptyOr = (schema: RecordSchema) => either(scalar('null'), schema)

const network = emptyOr(
  record(
    {
      name: since('3.5', string),
      driver: string,
      driver_opts: driverOptions,
      ipam: record({ driver: string, config: list(record({ subnet: string })) }),
      external,
      internal: boolean,
      attachable: since('3.2', boolean),
      labels: pairs,
    },
    extensions,
  ),
)

const volume = emptyOr(
  record(
    {
      name: since('3.4', string),
      driver: string,
      driver_opts: driverOptions,
      external,
      labels: pairs,
    },
    extensions,
  ),
)

const externalObject = either(boolean, record({ name: string }, { unknown: 'note' }))

const secret = record(
  {
    name: since('3.5', string),
    file: string,
    external: externalObject,
    labels: pairs,
    driver: since('3.8', string),
    driver_opts: since('3.8', driverOptions),
    template_driver: since('3.8', string),
  },
  extensions,
)

const config = record(
  {
    name: since('3.5', string),
    file: string,
    external: externalObject,
    labels: pairs,
    template_driver: since('3.8', string),
  },
  extensions,
)

/** A whole stack file. */
export const fileSchema = record(
  {
    version: string,
    services: mapOf(serviceSchema, OBJECT_NAME),
    networks: mapOf(network, OBJECT_NAME),
    volumes: mapOf(volume, OBJECT_NAME),
    secrets: since('3.1', mapOf(secret, OBJECT_NAME)),
    configs: since('3.3', mapOf(config, OBJECT_NAME)),
  },
  { extensionsSince: '3.4' },
)
