const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

const shown = (value: number, base: number, units: readonly string[], digits: number): string => {
  let size = value
  let at = 0
  while (size >= base && at < units.length - 1) {
    size /= base
    at++
  }
  return `${Number(size.toPrecision(digits))}${units[at]}`
}

/** Bytes in powers of 1024, as Docker shows memory: `12.34MiB`. */
export const memorySize = (bytes: number): string => shown(bytes, 1024, BINARY, 4)

/** Bytes in powers of 1000, as Docker shows traffic: `1.2kB`. */
export const trafficSize = (bytes: number): string => shown(bytes, 1000, DECIMAL, 3)

/** `12.34%`. */
export const percent = (ratio: number): string => `${(ratio * 100).toFixed(2)}%`
