import { createPrivateKey, type KeyObject, type webcrypto } from 'node:crypto'
import { invalid } from '../api/errors.ts'

/** The weakest RSA key of a CA (swarmkit `ca.RootCAMinRSABits`). */
const RSA_BITS_MIN = 2048
/** Node's names of curves, and WebCrypto's. */
const CURVES: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
}

/** A CA's private key, ready to sign certificates. */
export interface SigningKey {
  key: webcrypto.CryptoKey
  algorithm: { name: string; hash: string }
}

const importParameters = (key: KeyObject) => {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  const curve = CURVES[namedCurve ?? '']
  if (key.asymmetricKeyType === 'ec' && curve) return { name: 'ECDSA', namedCurve: curve }
  if (key.asymmetricKeyType === 'rsa' && (modulusLength ?? 0) >= RSA_BITS_MIN) {
    return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  }
  throw invalid(
    `the CA's key must be ECDSA on P-256, P-384 or P-521, or RSA of at least ${RSA_BITS_MIN} bits`,
  )
}

/** A CA's private key in any of OpenSSL's PEM forms as PKCS #8 PEM. Throws INVALID_ARGUMENT, also for a key that can't sign here. */
export const normalCAKey = (keyPem: string): string => {
  let key: KeyObject
  try {
    key = createPrivateKey(keyPem)
  } catch (error) {
    throw invalid(
      `the CA's key can't be read (${(error as Error).message}): it must be PEM without a passphrase`,
    )
  }
  importParameters(key)
  return String(key.export({ type: 'pkcs8', format: 'pem' }))
}

/** The signing key in a PEM. Throws INVALID_ARGUMENT. */
export const importCAKey = async (keyPem: string): Promise<SigningKey> => {
  const key = createPrivateKey(keyPem)
  const parameters = importParameters(key)
  const der = key.export({ type: 'pkcs8', format: 'der' })
  return {
    key: await crypto.subtle.importKey('pkcs8', der, parameters, false, ['sign']),
    algorithm: { name: parameters.name, hash: 'SHA-256' },
  }
}
