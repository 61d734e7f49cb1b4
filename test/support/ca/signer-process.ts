/** A CFSSL signer as a process of a lab host: CERT KEY CLIENT-CA IP PORT. Prints a line for each request. */
import { readFileSync } from 'node:fs'
import { listenAsSigner } from './cfssl-signer.ts'

const [cert, key, clientCA, ip, port] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
]
const read = (path: string) => readFileSync(path, 'utf8')
const root = { certPem: read(cert), keyPem: read(key) }
const signer = await listenAsSigner(root, { ip, port: Number(port), clientCA: read(clientCA) })
signer.distort = (request) => {
  console.log(`signs for ${request.subject.CN} ${request.profile}`)
  return request
}
console.log(`listens at ${signer.url}`)
