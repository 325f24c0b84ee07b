"""What reaches the log: one line a record, no secrets of manage links, no control characters."""

import logging
import re

# /booking/<secret>/, /preview/<signed>/ and the links in mails about staff accounts: the addresses
# that open something by themselves.
_SECRET_IN_PATH = re.compile(r"(/(?:booking|preview|reset/key|email/confirm)/)[A-Za-z0-9_:-]{20,}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class MaskSecrets(logging.Filter):
    """Masks the secret of a manage link wherever it stands in a record."""

    def filter(self, record):
        message = record.getMessage()
        masked = _SECRET_IN_PATH.sub(r"\1…", message)
        if masked != message:
            record.msg, record.args = masked, ()
        return True


class OneLine(logging.Formatter):
    """Time, level, logger and message on one line; line breaks and escapes become spaces.

    A traceback is named by its last line only: frames may hold what a patient typed.
    """

    def __init__(self):
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record):
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {record.getMessage()}"
        if record.exc_info and record.exc_info[0]:
            kind, _error, trace = record.exc_info
            while trace and trace.tb_next:
                trace = trace.tb_next
            if trace:
                code = trace.tb_frame.f_code
                line += f" [{kind.__name__} in {code.co_name}, line {trace.tb_lineno}]"
        return _CONTROL.sub(" ", line)
