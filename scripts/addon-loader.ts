/**
 * Build plugins that make the bundle one file: the store's native addon travels as an asset of the
 * executable, and addons that are only faster variants of something are left out.
 */
import type { Plugin } from 'esbuild'

/** Name of classic-level's addon among the executable's assets. */
export const ADDON_ASSET = 'classic-level.node'

/**
 * What classic-level gets instead of `node-gyp-build`: the loader can only open a file, so the asset is
 * written to a folder that nobody else can enter, opened, and deleted at once.
 */
const LOADER = `
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { constants, tmpdir } = require('node:os')
const { join } = require('node:path')
const { getRawAsset } = require('node:sea')
let addon
module.exports = () => {
  if (addon !== undefined) return addon
  const folder = mkdtempSync(join(tmpdir(), 'swarmctl-'))
  try {
    const file = join(folder, '${ADDON_ASSET}')
    writeFileSync(file, new Uint8Array(getRawAsset('${ADDON_ASSET}')), { mode: 0o700 })
    const loaded = { exports: {} }
    process.dlopen(loaded, file, constants.dlopen.RTLD_NOW)
    addon = loaded.exports
    return addon
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
`

/** Loads classic-level's addon from the executable itself. */
export const addonLoader: Plugin = {
  name: 'addon-loader',
  setup(build) {
    build.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: 'loader', namespace: 'addon' }))
    build.onLoad({ filter: /.*/, namespace: 'addon' }, () => ({ contents: LOADER, loader: 'js' }))
  },
}

/** Both only speed up what their users also do without them: ssh2's CPU probe and msgpackr's decoder. */
export const OPTIONAL_NATIVE = ['cpu-features', 'msgpackr-extract']
