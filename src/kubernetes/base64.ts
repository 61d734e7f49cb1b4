/** The base64 in a manifest's text, which may have line breaks in it. Undefined when it is none as Kubernetes takes it: padded, without other characters. */
export const base64In = (text: string): string | undefined => {
  const packed = text.replace(/\s/g, '')
  return packed.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(packed) ? packed : undefined
}
