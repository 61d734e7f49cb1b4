/**
 * A registry with one private image, to pull from inside a lab:
 * `node registry-server.ts ADDRESS PORT USER:PASSWORD FOLDER`. It serves the image of FOLDER (an unpacked `docker save` file, its first
 * entry) as `private:1` to whoever gives the password, and prints one line per request: `anonymous|USER METHOD PATH`.
 */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'

interface Blob {
  digest: string
  path: string
  size: number
}

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const [address = '', port = '', credentials = '', folder = ''] = process.argv.slice(2)

const digestOf = (data: string | Buffer): string =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`

const blobOf = (name: string): Blob => {
  const path = join(folder, name)
  return { digest: digestOf(readFileSync(path)), path, size: statSync(path).size }
}

const [image] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
  Config: string
  Layers: string[]
}[]
const config = blobOf(image?.Config as string)
const layers = (image?.Layers ?? []).map(blobOf)
const descriptor = (mediaType: string, { digest, size }: Blob) => ({ mediaType, digest, size })
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: MANIFEST_TYPE,
  config: descriptor('application/vnd.oci.image.config.v1+json', config),
  layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar', layer)),
})
const digest = digestOf(manifest)
const wanted = `Basic ${Buffer.from(credentials).toString('base64')}`

const answer = (request: IncomingMessage, response: ServerResponse): void => {
  const { method, url = '' } = request
  const isKnown = request.headers.authorization === wanted
  process.stdout.write(`${isKnown ? credentials.split(':')[0] : 'anonymous'} ${method} ${url}\n`)
  if (!isKnown) {
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="lab"' }).end()
    return
  }
  if (url === '/v2/') {
    response.writeHead(200).end()
    return
  }
  if (url === '/v2/private/manifests/1' || url === `/v2/private/manifests/${digest}`) {
    const length = Buffer.byteLength(manifest)
    response.writeHead(200, {
      'Content-Type': MANIFEST_TYPE,
      'Content-Length': length,
      'Docker-Content-Digest': digest,
    })
    response.end(method === 'HEAD' ? undefined : manifest)
    return
  }
  const blob = [config, ...layers].find((one) => url === `/v2/private/blobs/${one.digest}`)
  if (blob === undefined) {
    response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}')
    return
  }
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': blob.size,
    'Docker-Content-Digest': blob.digest,
  })
  if (method === 'HEAD') response.end()
  else createReadStream(blob.path).pipe(response)
}

createServer(answer).listen(Number(port), address, () => process.stdout.write('listening\n'))
