"""Runs inside a kernel, before the first cell: tells the runner of errors that a cell hides.

The reply to a cell says *ok* although something failed where a magic (`%%capture`, `%run`) or an
output widget caught the error and only showed it. IPython shows every such error by one of two
methods; both are wrapped here, and tell the runner by a message of our own on the kernel's own
channel, which nothing in the notebook captures.

This file is sent to the kernel as text and uses nothing but IPython: the kernel may be of another
environment.
"""


def _watch():
    from IPython import get_ipython

    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return
    told_traceback, told_usage = shell._showtraceback, shell.show_usage_error

    def tell(name, value, lines):
        try:
            text = str(value)
        except Exception:
            text = ""
        content = {"ename": name, "evalue": text[:2000], "traceback": [str(x) for x in lines]}
        try:
            kernel.send_response(kernel.iopub_socket, "datahall_error", content)
        except Exception:
            return  # a notebook must not fail because it is watched

    def show_traceback(etype, evalue, stb):
        tell(getattr(etype, "__name__", str(etype)), evalue, stb)
        return told_traceback(etype, evalue, stb)

    def show_usage_error(error):
        tell("UsageError", error, [])
        return told_usage(error)

    shell._showtraceback, shell.show_usage_error = show_traceback, show_usage_error


_watch()
