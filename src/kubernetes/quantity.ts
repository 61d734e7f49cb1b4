const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
}

/** A quantity such as `500m`, `0.5`, `128Mi` or `1e3`, as a number. Undefined when it is none. */
export const parseQuantity = (quantity: string | number): number | undefined => {
  const [, number, suffix = ''] =
    /^([+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)(n|u|m|k|[MGTP]i?|Ki)?$/.exec(String(quantity)) ?? []
  const factor = SUFFIXES[suffix]
  return number === undefined || factor === undefined ? undefined : Number(number) * factor
}

/** CPUs in 1e-9 of a core. */
export const nanoCpus = (quantity: string | number): number | undefined => {
  const value = parseQuantity(quantity)
  return value === undefined ? undefined : Math.round(value * 1e9)
}

/** Memory in bytes, rounded up. */
export const memoryBytes = (quantity: string | number): number | undefined => {
  const value = parseQuantity(quantity)
  return value === undefined ? undefined : Math.ceil(value)
}
