"""The record of reads: what readers say of scans, append-only and chained, and who may do what.

:mod:`lmresp.reads.record` writes and verifies the file, :mod:`lmresp.reads.state` and :mod:`lmresp.reads.form` hold the
rules (pure), :mod:`lmresp.reads.rows` turns locked reads into rows of the table ``mri_reads``.
"""
