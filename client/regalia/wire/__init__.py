"""What travels between client and registry: plain values, so that one class is the answer on both sides.

Digests, versions and times travel as text in their one spelling; signed documents as base64 of their exact bytes.
"""
