// The main script of `dist/swarmctl`: runs the bundle that the executable carries, with the code that the build has compiled.

const { getRawAsset } = require('node:sea')
const { Script } = require('node:vm')

/** The daemon compiles nothing while it serves; a command that ends in a moment takes what loads fastest. */
const cache = process.argv[2] === 'daemon' ? 'eager.cache' : 'lazy.cache'

const script = new Script(Buffer.from(getRawAsset('swarmctl.cjs')).latin1Slice(), {
  filename: 'swarmctl.cjs',
  cachedData: new Uint8Array(getRawAsset(cache)),
})
script.runInThisContext()(exports, require, module, __filename, __dirname)
