/** A device of the host in a container. */
export interface DeviceMapping {
  source: string
  target: string
  /** Of `r`, `w` and `m` (make a device file). */
  permissions: string
}

/** A device by its name in the Container Device Interface: `vendor.com/class=name`. */
export const isCdiName = (text: string): boolean =>
  /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?\/[A-Za-z](?:[\w-]*[A-Za-z0-9])?=[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/.test(
    text,
  )

/** `source[:target[:permissions]]`, or a CDI name, as `docker run --device` takes it. Thrown: an Error. */
export const parseDevice = (text: string): DeviceMapping => {
  if (isCdiName(text)) return { source: text, target: text, permissions: 'rwm' }
  const [source = '', second, third, ...more] = text.split(':')
  const isPermissions = (word: string | undefined): word is string =>
    word !== undefined && /^[rwm]{1,3}$/.test(word)
  if (more.length > 0 || source === '') {
    throw new Error(`invalid device "${text}"; write it as /dev/x:/dev/y:rwm`)
  }
  if (third === undefined && isPermissions(second)) {
    return { source, target: source, permissions: second }
  }
  if (third !== undefined && !isPermissions(third)) {
    throw new Error(`invalid device "${text}": ${third} is not made of r, w and m`)
  }
  return { source, target: second || source, permissions: third ?? 'rwm' }
}

/** How many devices a reservation wants: a number, -1 for `all`. Thrown: an Error. */
export const parseDeviceCount = (text: string): number => {
  if (text === 'all') return -1
  if (!/^-?[0-9]+$/.test(text)) throw new Error(`must be a number or all, not ${text}`)
  return Number(text)
}
