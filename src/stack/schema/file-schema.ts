import { boolean, driverOptions, pairs, string, stringOrList } from './field-types.ts'
import { checked, either, list, mapOf, type RecordSchema, record, scalar } from './schema.ts'
import { OBJECT_NAME, serviceSchema } from './service-schema.ts'

const external = either(boolean, record({ name: string }))
const emptyOr = (schema: RecordSchema) => either(scalar('null'), schema)

const network = emptyOr(
  record({
    name: string,
    driver: string,
    driver_opts: driverOptions,
    enable_ipv4: boolean,
    enable_ipv6: boolean,
    ipam: record({
      driver: string,
      config: list(
        record({ subnet: string, ip_range: string, gateway: string, aux_addresses: mapOf(string) }),
      ),
      options: mapOf(string),
    }),
    external,
    internal: boolean,
    attachable: boolean,
    labels: pairs,
  }),
)

const volume = emptyOr(
  record({
    name: string,
    driver: string,
    driver_opts: driverOptions,
    external,
    labels: pairs,
  }),
)

const externalObject = either(boolean, record({ name: string }, { unknown: 'note' }))

const secret = record({
  name: string,
  file: string,
  environment: string,
  external: externalObject,
  labels: pairs,
  driver: string,
  driver_opts: driverOptions,
  template_driver: string,
})

const config = record({
  name: string,
  file: string,
  environment: string,
  content: string,
  external: externalObject,
  labels: pairs,
  template_driver: string,
})

const include = record(
  { path: stringOrList, env_file: stringOrList, project_directory: string },
  { required: ['path'] },
)

const checkVersion = (text: string): void => {
  // Empty, as of a variable that is not set, is as if it were not there.
  if (text !== '' && !/^[0-9]+(\.[0-9]+)?$/.test(text)) {
    throw new Error(`unsupported Compose file version: ${text}; leave it out`)
  }
}

/** A whole stack file. */
export const fileSchema = record({
  // Compose ignores it; the docker CLI takes 3.0 to 3.13 as text.
  version: checked(checkVersion, 'string', 'number'),
  name: string,
  include: list(either(string, include)),
  services: mapOf(serviceSchema, OBJECT_NAME),
  networks: mapOf(network, OBJECT_NAME),
  volumes: mapOf(volume, OBJECT_NAME),
  secrets: mapOf(secret, OBJECT_NAME),
  configs: mapOf(config, OBJECT_NAME),
})
